#include "kv/prefill/gemfilter.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/method_reference.h"

namespace fathom::kv {
namespace {

TEST(GemFilter, ScoresAndTokensAreThoseOfTheRepository) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Recording& r = test::recorded_layer();
  std::vector<HeadView> heads;
  std::vector<QueryView> queries;
  for (size_t h = 0; h < r.kv_heads(); ++h) {
    heads.push_back(r.head(h, r.prompt()));
    queries.push_back(r.queries(h, r.prompt() - 1, 1));
  }
  const auto want = test::expected_floats("gemfilter.scores");
  const auto scores = gemfilter_scores(heads, queries);
  ASSERT_EQ(scores.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_NEAR(scores[i], want[i], 5e-5 * std::fabs(want[i]) + 1e-4) << i;
  }
  const auto tokens = test::expected_integers("gemfilter.tokens");
  const auto got = gemfilter_tokens(scores, 256);
  EXPECT_EQ(std::vector<int64_t>(got.begin(), got.end()), tokens);
}

TEST(GemFilter, EarlierTokensWinTiesAndShortPromptsStay) {
  const float scores[] = {1, 3, 3, 2, 3};
  EXPECT_EQ(gemfilter_tokens(scores, 2), (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(gemfilter_tokens(scores, 9), (std::vector<int32_t>{0, 1, 2, 3, 4}));
}

}  // namespace
}  // namespace fathom::kv
