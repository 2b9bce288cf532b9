#include "kv/attention_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kv/keep/expected_attention.h"
#include "kv/keep/scorers.h"
#include "kv/rope.h"
#include "support/made_head.h"

namespace fathom::kv {
namespace {

// Tokens at every third position, queries at the last ones of them.
struct Sparse {
  explicit Sparse(float soft_cap, int32_t window) : made(100, 1, {.group = 1}) {
    for (int32_t t = 0; t < 100; ++t) positions.push_back(3 * t);
    head = made.head(100);
    head.positions = positions.data();
    head.soft_cap = soft_cap;
    head.window = window;
    queries = made.chunk(88, 100).queries;
    queries.first = 3 * 99 - 11;  // one query a position
  }
  test::MadeHead made;
  std::vector<int32_t> positions;
  HeadView head;
  QueryView queries;
};

TEST(AttentionRows, WeightsAreThoseOfAttention) {
  struct Case {
    float soft_cap;
    int32_t window;
  };
  for (const Case c : {Case{0, 0}, {0.7f, 0}, {0, 50}, {0.7f, 50}, {2, 1}, {0, 1000}}) {
    const Sparse s(c.soft_cap, c.window);
    for_each_weights_row(s.head, s.queries, [&](size_t g, size_t query, std::span<const float> w) {
      const auto at = static_cast<int32_t>(s.queries.first + query);
      const float* q = s.queries.row(query, g, s.head.head_dim);
      std::vector<double> want(100);
      double sum = 0;
      for (size_t t = 0; t < 100; ++t) {
        if (s.positions[t] > at || (c.window > 0 && at - s.positions[t] >= c.window)) continue;
        double score = 0;
        for (size_t i = 0; i < s.head.head_dim; ++i) score += double{q[i]} * s.head.key(t)[i];
        score *= s.head.scale;
        if (c.soft_cap > 0) score = c.soft_cap * std::tanh(score / c.soft_cap);
        sum += want[t] = std::exp(score);
      }
      ASSERT_LE(w.size(), 100u);
      for (size_t t = 0; t < 100; ++t) {
        const double weight = sum > 0 ? want[t] / sum : 0.0;
        EXPECT_NEAR(t < w.size() ? w[t] : 0.0f, weight, 1e-6) << t << " of query " << query;
      }
    });
  }
}

std::vector<float> expected_scores(float soft_cap, int32_t window) {
  const Sparse s(soft_cap, window);
  std::vector<double> frequencies(16, 0.0);  // no rotation
  const RopeView rope{frequencies};
  HeadView head = s.head;
  head.rope = &rope;
  QueryView queries = s.queries;
  queries.q_unrotated = queries.q;
  KeepView view;
  view.heads = {&head, 1};
  view.queries = {&queries, 1};
  std::vector<std::vector<float>> scores(1, std::vector<float>(100));
  expected_attention_scorer({64, 4, 8, 0.0f})->score(view, {4, 0}, scores);
  return scores[0];
}

// Nobody will attend to what lies behind the window, and the rest shares what it had.
TEST(ExpectedAttention, SeesTheWindowOnly) {
  const auto all = expected_scores(0, 0), near = expected_scores(0, 61);
  for (size_t t = 4; t < 100; ++t) {
    const bool seen = 3 * t > 3 * 99 + 1 - 61;  // by the next query, at 298
    EXPECT_EQ(near[t] > 0, seen) << t;
    const double ratio = double{all[t]} / all[99];
    EXPECT_NEAR(near[t] / near[99], seen ? ratio : 0, 1e-4 * ratio) << t;
  }
}

// A cap far above all scores changes little, one below them makes them alike.
TEST(ExpectedAttention, SoftCapsFlatten) {
  const auto all = expected_scores(0, 0), wide = expected_scores(1000, 0),
             tight = expected_scores(0.01f, 0);
  const Sparse s(0, 0);
  for (size_t t = 4; t < 100; ++t) {
    EXPECT_NEAR(wide[t], all[t], 1e-3 * all[t]);
    double norm = 0;
    for (size_t i = 0; i < s.head.head_dim; ++i) norm += std::pow(double{s.head.value(t)[i]}, 2);
    EXPECT_NEAR(tight[t] / std::sqrt(norm), 1.0 / 98, 0.06 / 98) << t;
  }
}

}  // namespace
}  // namespace fathom::kv
