// What --explain says, held against what policies are known to do.
#include "kv/account.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <numeric>

#include "engine/session.h"
#include "eval/haystack.h"
#include "support/shared_data.h"

namespace fathom::engine {
namespace {

std::shared_ptr<Engine> load(const std::string& kv, bool explain = true) {
  ModelOptions options;
  options.threads = 2;
  options.kv_bytes = size_t{64} << 20;
  options.kv = kv;
  options.explain = explain;
  return Engine::load(test::bundled_model(), options);
}

std::vector<TokenId> some_tokens(const Engine& engine, size_t n) {
  auto tokens = engine.tokenizer().encode(
      eval::make_haystack({.seed = 5, .characters = 5 * n, .facts = 1}).text);
  tokens.resize(n);
  return tokens;
}

Reply reply_after(const std::shared_ptr<Engine>& engine, size_t prompt, int steps) {
  Session session(engine);
  session.feed(some_tokens(*engine, prompt));
  GenerateOptions options;
  options.max_tokens = steps;
  options.ignore_eos = true;
  return session.generate(options, {});
}

double bytes_of(const Account& account) {
  return std::accumulate(account.stores.begin(), account.stores.end(), 0.0,
                         [](double sum, const AccountStore& s) { return sum + double(s.bytes); });
}

TEST(Account, NobodyAskedNothingIsThere) {
  const auto engine = load("", false);
  EXPECT_FALSE(reply_after(engine, 100, 2).account);
}

TEST(Account, WithoutAPolicyEverythingIsRead) {
  const auto engine = load("store=f32");
  const Reply reply = reply_after(engine, 1000, 9);
  const Account& a = *reply.account;
  const model::Config& c = engine->model().config();
  EXPECT_EQ(a.tokens, reply.price.context_tokens);
  EXPECT_EQ(a.heads, c.layers * c.kv_heads);
  EXPECT_EQ(a.steps, 8u);  // the first token comes from the prompt
  ASSERT_EQ(a.ranges.size(), 16u);
  for (const AccountRange& r : a.ranges) {
    EXPECT_EQ(r.prefill_keys.value(), 1.0);
    EXPECT_EQ(r.kept.value(), 1.0);
    EXPECT_EQ(r.fetched.value(), 1.0);
  }
  // Tiles of a prompt of 1,000 tokens: rows times all pages up to their own.
  double pairs = 0;
  for (size_t page = 0; page < 16; ++page) {
    pairs += double(std::min<size_t>(64, 1000 - page * 64)) * 64 * double(page + 1);
  }
  EXPECT_EQ(a.total.prefill_keys.whole, pairs * double(c.layers * c.heads));
  ASSERT_EQ(a.stores.size(), 1u);
  EXPECT_EQ(a.stores[0].keys, "f32");
  EXPECT_EQ(a.stores[0].bytes, reply.price.kv_bytes);
  EXPECT_NEAR(a.total.bytes, double(reply.price.kv_bytes), 1.0);
}

TEST(Account, KeepIsSeenByPosition) {
  const auto engine = load("keep=streaming(sinks=64,recent=192)");
  const Account a = *reply_after(engine, 1024, 1).account;
  EXPECT_EQ(a.shortest, 256u);
  EXPECT_EQ(a.longest, 256u);
  ASSERT_EQ(a.ranges.size(), 16u);
  for (size_t r = 0; r < 16; ++r) {
    EXPECT_EQ(a.ranges[r].kept.value(), r == 0 || r >= 13 ? 1.0 : 0.0) << r;
    EXPECT_EQ(a.ranges[r].bytes > 0, r == 0 || r >= 13) << r;
  }
  EXPECT_EQ(a.total.kept.value(), 0.25);
  // It leaves out between steps: the second step of 512 tokens reads what is left of the first.
  EXPECT_EQ(a.ranges[7].prefill_queries.value(), 1.0);
  EXPECT_LT(a.ranges[8].prefill_queries.value(), 1.0);
}

TEST(Account, PrefillIsSeenByKeysAndByQueries) {
  const auto engine = load("prefill=a_shape(sinks=64,window=64)");
  const Reply reply = reply_after(engine, 1024, 1);
  const Account& a = *reply.account;
  EXPECT_NEAR(a.total.prefill_keys.value(), reply.price.prompt_read, 1e-9);
  EXPECT_EQ(a.ranges[0].prefill_keys.value(), 1.0) << "everybody reads the sinks";
  EXPECT_EQ(a.ranges[0].prefill_queries.value(), 1.0);
  // Queries of the last page read the first one, their own and, windows being exact, the one
  // before.
  EXPECT_NEAR(a.ranges[15].prefill_queries.value(), 3.0 / 16, 1e-9);
  // Keys in the middle are read from their own page and the next, of all that follow.
  EXPECT_NEAR(a.ranges[5].prefill_keys.value(), 2.0 / 11, 1e-9);
}

TEST(Account, FetchAgreesWithThePrice) {
  const auto engine = load("fetch=quest(budget=128,page=64)");
  const Reply reply = reply_after(engine, 1000, 6);
  EXPECT_LT(reply.price.keys_read, 0.5);
  EXPECT_NEAR(reply.account->total.fetched.value(), reply.price.keys_read, 1e-9);
  EXPECT_EQ(reply.account->ranges.back().fetched.value(), 1.0) << "the last page is always read";
}

TEST(Account, StoresAreToldApart) {
  const auto engine = load("store=k8v4");
  const Account a = *reply_after(engine, 512, 1).account;
  ASSERT_EQ(a.stores.size(), 2u);
  const AccountStore& coded = a.stores[0].keys == "q8" ? a.stores[0] : a.stores[1];
  EXPECT_EQ(coded.keys, "q8");
  EXPECT_EQ(coded.values, "q4");
  EXPECT_EQ(coded.tokens, a.heads * (512 - 64));
  EXPECT_NEAR(a.total.bytes, bytes_of(a), 1.0);
}

// A page's empty slots cost bytes, but say nothing of how densely its tokens are stored.
TEST(Account, StoredSharesAreOfTokensNotOfPages) {
  const Account a = *reply_after(load("store=k4v4"), 10 * 64 + 1, 1).account;
  ASSERT_EQ(a.ranges.size(), 11u);
  EXPECT_EQ(a.ranges[10].stored.value(), 1.0) << "one token, in full precision";
  EXPECT_EQ(a.ranges[8].stored.value(), 5.0 / 16) << "5 bits of 16";
  const Account kept = *reply_after(load("keep=streaming(sinks=64,recent=192)"), 1024, 1).account;
  for (size_t r = 0; r < 16; ++r) {
    EXPECT_EQ(kept.ranges[r].stored.value(), kept.ranges[r].kept.value()) << r;
  }
}

TEST(Account, EveryStoreIsNamed) {
  size_t named = 0;
  for (const kv::Method& method : kv::all_methods()) {
    if (method.info.stage != kv::Stage::kStore) continue;
    const Reply reply = reply_after(load(fmt::format("store={}", method.info.name)), 300, 1);
    double tokens = 0;
    for (const AccountStore& s : reply.account->stores) {
      EXPECT_FALSE(s.keys.empty() || s.values.empty()) << method.info.name;
      tokens += double(s.tokens);
    }
    EXPECT_EQ(tokens, double(reply.account->heads * 300)) << method.info.name;
    EXPECT_NEAR(bytes_of(*reply.account), double(reply.price.kv_bytes), 0.5) << method.info.name;
    ++named;
  }
  EXPECT_GT(named, 8u);
}

// What a document cost to read is part of every answer about it; what another answer read is not.
TEST(Account, ForksCarryTheirTextsAccount) {
  const auto engine = load("prefill=a_shape(sinks=64,window=64)");
  const auto tokens = some_tokens(*engine, 700);
  Session session(engine);
  session.feed(std::span(tokens).first(600));
  GenerateOptions options;
  options.max_tokens = 3;
  options.ignore_eos = true;
  Account accounts[2];
  for (Account& account : accounts) {
    Session fork = session.fork();
    fork.feed(std::span(tokens).subspan(600));
    account = *fork.generate(options, {}).account;
  }
  EXPECT_EQ(accounts[0].total.prefill_keys.part, accounts[1].total.prefill_keys.part);
  EXPECT_EQ(accounts[0].steps, 2u);
  EXPECT_GT(accounts[0].ranges[3].prefill_queries.whole, 0);
}

// What KEEP took out is missing from what is read later, and the account says so.
TEST(Account, AfterKeepAChunkReadsWhatIsLeft) {
  const auto engine = load("keep=streaming(sinks=64,recent=64)");
  const auto tokens = some_tokens(*engine, 1024 + 64);
  kv::SequenceCache cache = engine->runner().new_cache();
  engine->runner().read(cache, std::span(tokens).first(1024));
  const Account before = kv::make_account(cache, engine->runner().policy());
  const StepPart part{&cache, std::span(tokens).subspan(1024), Outputs::kNone};
  engine->runner().step({&part, 1});
  const Account after = kv::make_account(cache, engine->runner().policy());
  const model::Config& c = engine->model().config();
  const double rows = 64.0 * double(c.layers * c.heads);
  EXPECT_EQ(after.total.prefill_keys.part - before.total.prefill_keys.part, rows * (128 + 64));
  EXPECT_EQ(after.total.prefill_keys.whole - before.total.prefill_keys.whole, rows * 1088);
  EXPECT_EQ(after.ranges[0].prefill_keys.value(), 1.0) << "sinks are always there";
}

// Counting changes no bit of what is generated.
TEST(Account, IsAnOnlooker) {
  const std::string kv = "prefill=xattention(threshold=0.8) keep=snapkv(budget=256) fetch=quest";
  EXPECT_EQ(reply_after(load(kv, true), 900, 20).tokens,
            reply_after(load(kv, false), 900, 20).tokens);
}

}  // namespace
}  // namespace fathom::engine
