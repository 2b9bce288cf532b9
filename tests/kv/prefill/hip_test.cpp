#include <gtest/gtest.h>

#include <algorithm>

#include "kv/replay/attend_lists.h"
#include "support/made_head.h"
#include "support/prefill_lists.h"

namespace fathom::kv {
namespace {

std::vector<int32_t> last_keys(const PrefillPolicy& policy, const test::MadeHead& head) {
  const auto lists = test::run_select(policy, head.chunk(0, head.tokens));
  std::vector<int32_t> keys;
  visible_keys(lists[lists.size() / head.group - 1], head.tokens - 1, keys);
  return keys;
}

// Scores that rise smoothly to one peak lead the search to it from every level.
TEST(Hip, FindsTheTopOfAHill) {
  for (const char* call : {"hip(k=64,window=64)", "hip(k=128,window=64,key_block=16)"}) {
    const auto policy = test::make_prefill(call);
    for (const size_t top : {300, 1111, 2500}) {
      test::MadeHead head(4096, 8);
      head.plant(top, 0);
      for (size_t t = 0; t < head.tokens; ++t) {
        const float far = static_cast<float>(t > top ? t - top : top - t);
        head.k[t * head.head_dim] = 40.0f - 0.02f * far;
      }
      for (float& q : head.q) q = q == 4.0f ? q : 0.0f;
      const auto keys = last_keys(*policy, head);
      EXPECT_TRUE(std::binary_search(keys.begin(), keys.end(), static_cast<int32_t>(top))) << top;
      EXPECT_LT(keys.size(), 512u);
    }
  }
}

// What the method is known to lose: a lone key among unlike neighbours.
TEST(Hip, ReadsNoMoreThanItsBudget) {
  const auto policy = test::make_prefill("hip(k=256,window=128,sinks=64)");
  const test::MadeHead head(4096, 9);
  EXPECT_LE(last_keys(*policy, head).size(), 256u + 64 + 128 + 64);
}

TEST(Hip, FirstLayersAreDense) {
  const auto policy = test::make_prefill("hip(k=64,dense_layers=11)");
  const test::MadeHead head(1000, 9);  // of layer 10
  EXPECT_EQ(last_keys(*policy, head).size(), 1000u);
}

}  // namespace
}  // namespace fathom::kv
