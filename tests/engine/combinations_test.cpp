// Methods of all four stages together: a policy line either runs, and its account adds up, or is
// refused with a reason; with room for everything it is dense attention.
//
// Here every pair of methods of different stages meets in some line. With FATHOM_ALL_COMBINATIONS
// in the environment it is every line there is: some thirty thousand, a few minutes.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <set>

#include "base/error.h"
#include "kv/account.h"
#include "kv/registry.h"
#include "support/method_lines.h"
#include "support/tiny_model.h"

namespace fathom::engine {
namespace {

using kv::Method;
using kv::Stage;
using Combination = std::array<size_t, kv::kStages>;  // an index into each stage's methods

std::vector<const Method*> methods_of(size_t stage) {
  std::vector<const Method*> out;
  for (const Method& m : kv::all_methods()) {
    if (m.info.stage == static_cast<Stage>(stage)) out.push_back(&m);
  }
  return out;
}

class Combinations {
 public:
  Combinations() {
    for (size_t s = 0; s < kv::kStages; ++s) methods_[s] = methods_of(s);
  }

  const Method& method(const Combination& c, size_t stage) const {
    return *methods_[stage][c[stage]];
  }

  std::vector<Combination> all() const {
    std::vector<Combination> out(1, Combination{});
    for (size_t s = 0; s < kv::kStages; ++s) {
      std::vector<Combination> longer;
      for (const Combination& c : out) {
        for (size_t i = 0; i < methods_[s].size(); ++i) {
          longer.push_back(c);
          longer.back()[s] = i;
        }
      }
      out = std::move(longer);
    }
    return out;
  }

  // Few in which every pair of methods of two stages meets: each is built around the first pair
  // that has not met, with what adds most pairs in the other stages.
  std::vector<Combination> pairs() const {
    std::set<Pair> met;
    std::vector<Combination> out;
    for (const Combination& c : all()) {
      for (const Pair& p : pairs_of(c)) {
        if (met.contains(p)) continue;
        out.push_back(completed(c, p, met));
        for (const Pair& now : pairs_of(out.back())) met.insert(now);
      }
    }
    return out;
  }

 private:
  struct Pair {
    size_t stage_a, a, stage_b, b;
    auto operator<=>(const Pair&) const = default;
  };

  static std::vector<Pair> pairs_of(const Combination& c) {
    std::vector<Pair> out;
    for (size_t s = 0; s < kv::kStages; ++s) {
      for (size_t t = s + 1; t < kv::kStages; ++t) out.push_back({s, c[s], t, c[t]});
    }
    return out;
  }

  Combination completed(Combination c, const Pair& pair, const std::set<Pair>& met) const {
    for (size_t s = 0; s < kv::kStages; ++s) {
      if (s == pair.stage_a || s == pair.stage_b) continue;
      size_t best = 0, most = 0;
      for (size_t i = 0; i < methods_[s].size(); ++i) {
        c[s] = i;
        const auto all = pairs_of(c);
        const auto fresh = static_cast<size_t>(
            std::count_if(all.begin(), all.end(), [&](const Pair& p) { return !met.contains(p); }));
        if (fresh > most) best = i;
        most = std::max(most, fresh);
      }
      c[s] = best;
    }
    return c;
  }

  std::array<std::vector<const Method*>, kv::kStages> methods_;
};

std::vector<Combination> wanted(const Combinations& combinations) {
  return std::getenv("FATHOM_ALL_COMBINATIONS") ? combinations.all() : combinations.pairs();
}

// A runner for the line; nothing where it is refused, which must come with a reason and a way out.
std::unique_ptr<Runner> runner_of(const std::string& line) {
  try {
    return test::tiny_model("llama", line, {.explain = true});
  } catch (const Error& e) {
    EXPECT_TRUE(e.code() == ErrorCode::kUnsupported || e.code() == ErrorCode::kUsage) << e.what();
    EXPECT_FALSE(e.hint().empty()) << e.what();
    return nullptr;
  }
}

constexpr size_t kPrompt = 150, kSteps = 3;

struct Outcome {
  std::vector<float> logits;  // of the prompt's last token and of the steps
  Account account;
  size_t bytes = 0, stored = 0;  // of the cache; tokens, over heads
};

Outcome run(Runner& runner) {
  static const auto tokens = test::random_tokens(kPrompt + kSteps, runner.config().vocab, 1);
  kv::SequenceCache cache = runner.new_cache();
  Outcome out;
  for (size_t at = 0; at < tokens.size();) {
    const size_t n = at == 0 ? kPrompt : 1;
    const std::span<float> logits = runner.read(cache, std::span(tokens).subspan(at, n));
    out.logits.insert(out.logits.end(), logits.begin(), logits.end());
    at += n;
  }
  out.account = kv::make_account(cache, runner.policy());
  out.bytes = cache.bytes();
  const kv::CacheShape& shape = cache.shape();
  for (size_t h = 0; h < shape.layers * shape.kv_heads; ++h) {
    out.stored += cache.head(h / shape.kv_heads, h % shape.kv_heads).length();
  }
  return out;
}

void expect_share(const AccountShare& share, const char* what) {
  EXPECT_GE(share.part, 0) << what;
  EXPECT_LE(share.part, share.whole * (1 + 1e-12)) << what;
}

void check_account(const Outcome& run) {
  const Account& a = run.account;
  size_t end = 0;
  for (const AccountRange& r : a.ranges) {
    EXPECT_EQ(r.first, end);
    end = r.end;
    expect_share(r.prefill_keys, "pairs, by keys");
    expect_share(r.prefill_queries, "pairs, by queries");
    expect_share(r.kept, "kept");
    expect_share(r.fetched, "fetched");
  }
  EXPECT_EQ(end, a.tokens);
  EXPECT_GT(a.total.prefill_keys.part, 0);
  EXPECT_EQ(a.total.prefill_keys.part, a.total.prefill_queries.part);
  EXPECT_EQ(a.total.prefill_keys.whole, a.total.prefill_queries.whole);
  EXPECT_EQ(a.total.kept.part, double(run.stored));
  EXPECT_EQ(a.total.kept.whole, double(a.tokens * a.heads));
  EXPECT_LE(a.shortest, a.longest);
  EXPECT_LE(a.longest, a.tokens);
  size_t tokens = 0, bytes = 0;
  for (const AccountStore& s : a.stores) {
    tokens += s.tokens;
    bytes += s.bytes;
  }
  EXPECT_EQ(tokens, run.stored);
  EXPECT_EQ(bytes, run.bytes);
  EXPECT_NEAR(a.total.bytes, double(run.bytes), 1e-6 * double(run.bytes));
}

TEST(Combinations, EveryPairOfMethodsMeets) {
  const Combinations combinations;
  const auto few = combinations.pairs(), all = combinations.all();
  EXPECT_LT(few.size(), all.size() / 50);
  for (const Combination& c : all) {
    for (size_t s = 0; s < kv::kStages; ++s) {
      for (size_t t = s + 1; t < kv::kStages; ++t) {
        ASSERT_TRUE(std::any_of(few.begin(), few.end(),
                                [&](const Combination& f) { return f[s] == c[s] && f[t] == c[t]; }))
            << combinations.method(c, s).info.name << " and "
            << combinations.method(c, t).info.name;
      }
    }
  }
}

TEST(Combinations, RunOrAreRefused) {
  const Combinations combinations;
  const test::MethodLines lines(2, 2);
  size_t ran = 0, refused = 0;
  for (const Combination& c : wanted(combinations)) {
    std::string line;
    for (size_t s = 0; s < kv::kStages; ++s) line += lines.tight(combinations.method(c, s)) + " ";
    const auto runner = runner_of(line);
    ran += runner != nullptr;
    refused += runner == nullptr;
    if (runner) {
      const Outcome r = run(*runner);
      EXPECT_TRUE(
          std::all_of(r.logits.begin(), r.logits.end(), [](float x) { return std::isfinite(x); }));
      check_account(r);
    }
    ASSERT_FALSE(HasFailure()) << line;
  }
  std::printf("%zu lines ran, %zu were refused\n", ran, refused);
  EXPECT_GT(ran, 2 * refused);
}

TEST(Combinations, RoomForEverythingIsDense) {
  const Combinations combinations;
  const test::MethodLines lines(2, 2);
  const std::vector<float> dense = run(*runner_of("store=f32")).logits;
  std::set<std::string> done;
  for (const Combination& c : wanted(combinations)) {
    std::string line = "store=f32";
    for (size_t s = 0; s < kv::kStages; ++s) {
      if (static_cast<Stage>(s) != Stage::kStore)
        line += " " + lines.roomy(combinations.method(c, s));
    }
    if (!done.insert(line).second) continue;
    const auto runner = runner_of(line);
    if (!runner) continue;
    const std::vector<float> got = run(*runner).logits;
    ASSERT_EQ(got.size(), dense.size()) << line;
    for (size_t i = 0; i < dense.size(); ++i) ASSERT_NEAR(got[i], dense[i], 1e-4) << line;
  }
}

}  // namespace
}  // namespace fathom::engine
