#include "eval/divergence.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/library.h"
#include "support/shared_data.h"

namespace fathom::eval {
namespace {

std::vector<float> logits_of(std::initializer_list<double> probabilities, double shift) {
  std::vector<float> out;
  for (const double p : probabilities) out.push_back(static_cast<float>(std::log(p) + shift));
  return out;
}

TEST(CompareLogits, FollowsTheDefinitions) {
  const auto p = logits_of({0.5, 0.5}, 3), q = logits_of({0.9, 0.1}, -7);
  const TokenDivergence d = compare_logits(p, q, 1);
  EXPECT_NEAR(d.kl, 0.5 * std::log(0.5 / 0.9) + 0.5 * std::log(0.5 / 0.1), 1e-6);
  EXPECT_NEAR(d.nll_p, std::log(2.0), 1e-6);
  EXPECT_NEAR(d.nll_q, -std::log(0.1), 1e-6);
  EXPECT_TRUE(d.same_top);  // the tie goes to the lowest
  EXPECT_FALSE(compare_logits(p, logits_of({0.1, 0.9}, 0), 0).same_top);
}

TEST(CompareLogits, IsZeroForEqualLogitsHoweverExtreme) {
  const std::vector<float> p = {1e4f, -1e4f, 0.0f};
  EXPECT_EQ(compare_logits(p, p, 1).kl, 0);
  const std::vector<float> shifted = {1e4f + 512, -1e4f + 512, 512.0f};
  EXPECT_NEAR(compare_logits(p, shifted, 1).kl, 0, 1e-9);
}

std::shared_ptr<engine::Engine> load(const std::string& kv, size_t batch) {
  ModelOptions options;
  options.threads = 1;
  options.kv = kv;
  options.batch = batch;
  return engine::Engine::load(test::bundled_model(), options);
}

std::vector<std::vector<engine::TokenId>> texts(const engine::Engine& engine) {
  std::vector<std::vector<engine::TokenId>> out;
  const Library library;
  for (uint64_t w = 0; w < 3; ++w) {
    ProseStream prose(library, Random(w));
    std::string text;
    for (const std::string& s : prose.first(40)) text += s;
    out.push_back(engine.tokenizer().encode(text));
    out.back().resize(300);
  }
  return out;
}

TEST(Divergence, OfDenseFromDenseIsNothing) {
  const auto a = load("store=f32", 512), b = load("store=f32", 64);
  const auto windows = texts(*a);
  for (const PositionSet set : {PositionSet::kPrefill, PositionSet::kDecode}) {
    const Divergence d = measure_divergence(*a, *b, windows, {set, 50});
    EXPECT_EQ(d.windows, 3u);
    EXPECT_EQ(d.tokens, 3u * (set == PositionSet::kDecode ? 50 : 149));
    EXPECT_LT(std::abs(d.kl_max), 1e-6);
    EXPECT_EQ(d.same_top.value, 1);
    EXPECT_NEAR(d.nll_difference.value, 0, 1e-6);
    EXPECT_GT(d.reference_perplexity, 1.5);
  }
}

TEST(Divergence, OfRoundedKeysIsSmallAndPositive) {
  const auto a = load("store=f32", 512), b = load("store=bf16", 512);
  const Divergence d = measure_divergence(*a, *b, texts(*a), {PositionSet::kDecode, 50});
  EXPECT_GT(d.kl.value, 1e-8);
  EXPECT_LT(d.kl.value, 0.01);
  EXPECT_GE(d.kl_max, d.kl_p99);
  EXPECT_GE(d.kl_p99, d.kl_median);
}

}  // namespace
}  // namespace fathom::eval
