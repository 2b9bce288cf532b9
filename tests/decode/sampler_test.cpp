#include "decode/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "base/error.h"

namespace fathom::decode {
namespace {

using Logits = std::vector<float>;

// How often each token is drawn in `n` draws.
std::map<TokenId, double> shares(const SamplingOptions& options, const Logits& logits, int n) {
  Sampler sampler(options);
  std::map<TokenId, double> out;
  for (int i = 0; i < n; ++i) {
    Logits copy = logits;
    out[sampler.sample(copy)] += 1.0 / n;
  }
  return out;
}

SamplingOptions plain(float temperature) {
  SamplingOptions o;
  o.temperature = temperature;
  o.top_k = 0;
  o.top_p = 1;
  o.min_p = 0;
  return o;
}

TEST(Sampler, GreedyTakesTheFirstOfTheBest) {
  Sampler sampler({});
  Logits logits{1, 5, 5, 2};
  EXPECT_EQ(sampler.sample(logits), 1);
}

// Chi-square of 5 cells at 4 degrees of freedom: 18.5 is passed once in 1000 fair seeds.
TEST(Sampler, DrawsFromTheSoftmax) {
  const Logits logits{0.0f, 1.0f, 2.0f, -1.0f, 0.5f};
  for (const float t : {0.7f, 1.0f, 2.0f}) {
    constexpr int kDraws = 40000;
    const auto got = shares(plain(t), logits, kDraws);
    double sum = 0, chi = 0;
    for (const float l : logits) sum += std::exp(l / t);
    for (size_t i = 0; i < logits.size(); ++i) {
      const double want = std::exp(logits[i] / t) / sum;
      const auto it = got.find(static_cast<TokenId>(i));
      const double share = it == got.end() ? 0 : it->second;
      chi += (share - want) * (share - want) / want * kDraws;
    }
    EXPECT_LT(chi, 18.5) << t;
  }
}

TEST(Sampler, SameSeedSameTokens) {
  const Logits logits{0, 1, 2, 3, 2, 1, 0};
  SamplingOptions o = plain(1.5f);
  const auto run = [&] {
    Sampler s(o);
    std::vector<TokenId> ids;
    for (int i = 0; i < 50; ++i) {
      Logits copy = logits;
      ids.push_back(s.sample(copy));
    }
    return ids;
  };
  const auto first = run();
  EXPECT_EQ(first, run());
  o.seed = 1;
  EXPECT_NE(first, run());
}

TEST(Sampler, FiltersKeepWhatTheySay) {
  const Logits logits{std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  const auto kept = [&](auto set) {
    SamplingOptions o = plain(1.0f);
    set(o);
    std::vector<TokenId> ids;
    for (const auto& [id, share] : shares(o, logits, 5000)) ids.push_back(id);
    return ids;
  };
  using Ids = std::vector<TokenId>;
  EXPECT_EQ(kept([](auto& o) { o.top_k = 2; }), (Ids{0, 1}));
  EXPECT_EQ(kept([](auto& o) { o.top_k = 1; }), (Ids{0}));
  EXPECT_EQ(kept([](auto& o) { o.top_p = 0.6f; }), (Ids{0, 1}));
  EXPECT_EQ(kept([](auto& o) { o.top_p = 0.01f; }), (Ids{0}));
  EXPECT_EQ(kept([](auto& o) { o.min_p = 0.2f; }), (Ids{0, 1, 2}));
  EXPECT_EQ(kept([](auto& o) { o.min_p = 1.0f; }), (Ids{0}));
  // Surprises are 0.69, 1.20, 1.90, 3.00 and the entropy is 1.14: the second is the most typical.
  EXPECT_EQ(kept([](auto& o) { o.typical_p = 0.2f; }), (Ids{1}));
  EXPECT_EQ(kept([](auto& o) { o.typical_p = 0.7f; }), (Ids{0, 1}));
}

TEST(Sampler, Penalties) {
  SamplingOptions o;
  o.repeat_penalty = 2.0f;
  Sampler repeat(o);
  repeat.accept(0);
  repeat.accept(1);
  Logits logits{4.0f, -1.0f, 3.0f};
  EXPECT_EQ(repeat.sample(logits), 2);
  EXPECT_EQ(logits, (Logits{2.0f, -2.0f, 3.0f}));

  SamplingOptions f;
  f.frequency_penalty = 0.5f;
  f.presence_penalty = 1.0f;
  Sampler frequency(f);
  for (const TokenId id : {0, 0, 0, 1}) frequency.accept(id);
  logits = {4.0f, 4.0f, 4.0f};
  EXPECT_EQ(frequency.sample(logits), 2);
  EXPECT_EQ(logits, (Logits{1.5f, 2.5f, 4.0f}));

  f.repeat_last_n = 1;  // only the last token counts
  Sampler recent(f);
  for (const TokenId id : {0, 0, 1}) recent.accept(id);
  logits = {4.0f, 4.0f};
  recent.sample(logits);
  EXPECT_EQ(logits, (Logits{4.0f, 2.5f}));
}

TEST(Sampler, BiasAndForbiddenTokens) {
  SamplingOptions o;
  o.logit_bias = {{2, 10.0f}, {77, 1.0f}};
  Sampler biased(o);
  Logits logits{1, 2, 0};
  EXPECT_EQ(biased.sample(logits), 2);
  for (const float temperature : {0.0f, 1.0f}) {
    Sampler s(plain(temperature));
    s.forbid(1);
    for (int i = 0; i < 100; ++i) {
      Logits copy{0, 9, 0};
      EXPECT_NE(s.sample(copy), 1);
    }
  }
}

TEST(Sampler, OptionsOutOfRangeAreNamed) {
  const auto message = [](auto set) -> std::string {
    SamplingOptions o;
    set(o);
    try {
      check(o);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message([](auto& o) { o.temperature = -1; }), "--temp: -1 is not 0 or more");
  EXPECT_EQ(message([](auto& o) { o.top_p = 0; }), "--top-p: 0 is not above 0 and at most 1");
  EXPECT_NE(message([](auto& o) { o.repeat_penalty = 0; }), "");
  EXPECT_NE(message([](auto& o) { o.min_p = NAN; }), "");
  EXPECT_EQ(message([](auto&) {}), "");
}

}  // namespace
}  // namespace fathom::decode
