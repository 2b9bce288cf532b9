// Reading that fails half-way loses nothing of what was there.
#include <gtest/gtest.h>

#include <optional>

#include "base/error.h"
#include "engine/cache_attention.h"
#include "engine/session.h"
#include "eval/haystack.h"
#include "support/shared_data.h"

namespace fathom::engine {
namespace {

struct Cache {
  const char* kv;
  size_t token_bytes;
};
constexpr Cache kWide{"store=f32", 4096}, kHalf{"store=f16", 2048};

// Room for 512 tokens in all, read in steps of 32.
std::shared_ptr<Engine> small_engine(const Cache& cache) {
  ModelOptions options;
  options.threads = 2;
  options.kv = cache.kv;
  options.context = 512;
  options.batch = 32;
  options.kv_bytes = 512 * cache.token_bytes;
  return Engine::load(test::bundled_model(), options);
}

std::vector<TokenId> some_text(const Engine& engine, size_t tokens) {
  auto out = engine.tokenizer().encode(
      eval::make_haystack({.seed = 5, .characters = 3000, .facts = 0}).text);
  out.resize(tokens);
  return out;
}

std::string continued(Session& session) {
  GenerateOptions options;
  options.max_tokens = 12;
  return session.generate(options, {}).text;
}

class OnFailure : public testing::TestWithParam<Cache> {};

TEST_P(OnFailure, TheTextIsAsLongAsWhatWasReadOfIt) {
  const auto engine = small_engine(GetParam());
  const auto text = some_text(*engine, 300);
  std::optional<Session> used(engine);
  Session& session = *used;
  session.feed(std::span(text).first(40));
  continued(session);  // its last token is unread
  std::vector<TokenId> all = session.tokens();
  all.insert(all.end(), text.begin() + 40, text.end());
  {
    Session other(engine);
    other.feed(some_text(*engine, 400));
    EXPECT_THROW(session.feed(std::span(text).subspan(40)), Error);
    const std::vector<TokenId>& read = session.tokens();
    ASSERT_GE(read.size(), 52u);
    ASSERT_LT(read.size(), all.size());
    EXPECT_TRUE(std::equal(read.begin(), read.end(), all.begin()));
  }
  session.feed(std::span(all).subspan(session.tokens().size()));
  const std::string got = continued(session);
  used.reset();
  Session fresh(engine);
  fresh.feed(all);
  EXPECT_EQ(got, continued(fresh));
}

TEST_P(OnFailure, ATurnThatFailsWasNeverSaid) {
  const auto engine = small_engine(GetParam());
  const auto text = some_text(*engine, 40);
  GenerateOptions options;
  options.max_tokens = 12;
  const auto talk = [&](bool fails) {
    Session session(engine);
    session.feed(text);
    session.ask("What is it?", options, {});
    if (fails) {
      Session other(engine);
      other.feed(some_text(*engine, 380));
      const std::string question = engine->tokenizer().decode(some_text(*engine, 200));
      EXPECT_THROW(session.ask(question, options, {}), Error);
    }
    return session.ask("Who was it?", options, {}).text;
  };
  EXPECT_EQ(talk(true), talk(false));
}

INSTANTIATE_TEST_SUITE_P(Stores, OnFailure, testing::Values(kWide, kHalf));

struct Thrower final : AttentionObserver {
  void attended(const model::AttendCall& call, size_t) override {
    if (call.layer == 2) throw std::runtime_error("two");
  }
};

TEST(OnFailureOfALayer, TheCacheIsAsItWas) {
  const auto engine = small_engine(kWide);
  Runner& runner = engine->runner();
  const auto text = some_text(*engine, 100);
  kv::SequenceCache cache = runner.new_cache();
  runner.read(cache, std::span(text).first(50));
  Thrower thrower;
  runner.observe(&thrower);
  EXPECT_THROW(runner.read(cache, std::span(text).subspan(50)), std::runtime_error);
  runner.observe(nullptr);
  EXPECT_EQ(cache.length(), 50u);
  const auto logits = runner.read(cache, std::span(text).subspan(50));
  const std::vector<float> got(logits.begin(), logits.end());
  kv::SequenceCache fresh = runner.new_cache();
  const auto want = runner.read(fresh, text);
  EXPECT_EQ(got, std::vector<float>(want.begin(), want.end()));
}

}  // namespace
}  // namespace fathom::engine
