#include "kv/fetch/recycled.h"

#include <gtest/gtest.h>

#include "kv/attention_rows.h"
#include "kv/fetch/runs.h"
#include "support/kv_layer.h"

namespace fathom::kv {
namespace {

using fathom::test::RandomLayer;

TEST(Recycled, AFullStepEveryIntervalAndItsBestBetween) {
  const RandomLayer layer(300, 1, 6);
  const auto policy = make_recycled(
      Parameters(recycled_info(),
                 {{"budget", "20"}, {"interval", "4"}, {"recent", "2"}, {"block", "1"}}, "test"));
  const auto index = policy->make_index();
  Runs want;
  for (size_t n = 200; n < 230; ++n) {
    const HeadView head = layer.head(0, n);
    const QueryView query = layer.queries(0, n - 1, 1);
    std::vector<Runs> runs(1);
    index->update(head);
    index->select(head, query, {}, runs);
    const size_t phase = (n - 200) % 4;
    if (phase == 0) {
      ASSERT_EQ(runs[0], all_of(n));
      std::vector<float> weights(n);
      received_attention(head, query, weights);
      std::vector<int32_t> best = top_k(std::span(weights).first(n - 2), 18);
      best.insert(best.end(), {int32_t(n - 2), int32_t(n - 1), int32_t(n)});
      want.clear();
      add_tokens(best, want);
    } else {
      ASSERT_EQ(keys_read(runs[0]), 21u);
      if (phase == 1) {
        ASSERT_EQ(runs[0], want) << n;
      }
    }
  }
}

// Blocks with most weight, by hand, and all that was written since.
TEST(Recycled, BlocksStayUntilTheNextFullStep) {
  const RandomLayer layer(300, 1, 6);
  const auto policy = make_recycled(
      Parameters(recycled_info(),
                 {{"budget", "40"}, {"interval", "9"}, {"recent", "2"}, {"block", "8"}}, "test"));
  const auto index = policy->make_index();
  Runs want;
  for (size_t n = 204; n < 230; ++n) {
    const HeadView head = layer.head(0, n);
    const QueryView query = layer.queries(0, n - 1, 1);
    std::vector<Runs> runs(1);
    index->select(head, query, {}, runs);
    if ((n - 204) % 9 == 0) {
      ASSERT_EQ(runs[0], all_of(n));
      std::vector<float> weights(n), sums((n + 7) / 8);
      received_attention(head, query, weights);
      for (size_t t = 0; t < n; ++t) sums[t / 8] += weights[t];
      std::vector<int32_t> best = top_k(std::span(sums).first(sums.size() - 1), 4);
      best.push_back(int32_t(sums.size() - 1));
      want.clear();
      add_blocks(best, 8, n, want);
    } else {
      want.back().end = int32_t(n);
      ASSERT_EQ(runs[0], want) << n;
    }
  }
}

}  // namespace
}  // namespace fathom::kv
