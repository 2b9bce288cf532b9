#include "kv/prefill/gemfilter.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/method_reference.h"

namespace fathom::kv {
namespace {

TEST(GemFilter, ScoresAndTokensAreThoseOfTheRepository) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Recording& r = test::recorded_layer();
  std::vector<double> sums(r.prompt());
  for (size_t h = 0; h < r.kv_heads(); ++h) {
    add_gemfilter_products(r.head(h, r.prompt()), r.queries(h, r.prompt() - 1, 1), sums);
  }
  const auto want = test::expected_floats("gemfilter.scores");
  const auto scores = gemfilter_scores(sums);
  ASSERT_EQ(scores.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_NEAR(scores[i], want[i], 5e-5 * std::fabs(want[i]) + 1e-4) << i;
  }
  const auto tokens = test::expected_integers("gemfilter.tokens");
  const auto got = gemfilter_tokens(scores, {.budget = 256, .first = 0, .last = 0});
  EXPECT_EQ(std::vector<int64_t>(got.begin(), got.end()), tokens);
}

std::vector<int32_t> chosen(const std::vector<float>& scores, size_t budget, size_t first,
                            size_t last) {
  return gemfilter_tokens(scores, {.budget = budget, .first = first, .last = last});
}

TEST(GemFilter, EarlierTokensWinTiesAndShortPromptsStay) {
  const std::vector<float> scores = {1, 3, 3, 2, 3};
  EXPECT_EQ(chosen(scores, 2, 0, 0), (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(chosen(scores, 9, 0, 0), (std::vector<int32_t>{0, 1, 2, 3, 4}));
}

TEST(GemFilter, BothEndsAreForcedAndCountAgainstTheBudget) {
  const std::vector<float> scores = {1, 3, 4, 2, 0};
  EXPECT_EQ(chosen(scores, 3, 1, 1), (std::vector<int32_t>{0, 2, 4}));
  EXPECT_EQ(chosen(scores, 1, 1, 2), (std::vector<int32_t>{0, 3, 4})) << "what is forced stays";
  EXPECT_EQ(chosen(scores, 1, 9, 9), (std::vector<int32_t>{0, 1, 2, 3, 4}));
}

}  // namespace
}  // namespace fathom::kv
