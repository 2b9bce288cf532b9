#include "kv/replay/attend_lists.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "support/method_reference.h"

namespace fathom::kv {
namespace {

TEST(AttendLists, DenseIsDense) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Recording& r = test::recorded_layer();
  const auto out = test::expected_floats("dense.out"), lse = test::expected_floats("dense.lse");
  std::vector<int32_t> keys(r.tokens());
  std::iota(keys.begin(), keys.end(), 0);
  std::vector<float> got(r.head_dim());
  for (size_t t = 0; t < r.tokens(); t += t < 64 ? 1 : 7) {
    for (size_t h = 0; h < r.heads(); ++h) {
      const QueryView q = r.queries(h / r.group(), t, 1);
      const double l = attend_keys(r.head(h / r.group(), r.tokens()), q.row(0, h % r.group(), 32),
                                   std::span(keys).first(t + 1), got.data());
      ASSERT_NEAR(l, lse[t * r.heads() + h], 1e-5);
      for (size_t c = 0; c < 32; ++c) {
        ASSERT_NEAR(got[c], out[(t * r.heads() + h) * 32 + c], 1e-5) << t << " " << h;
      }
    }
  }
  EXPECT_EQ(attend_keys(r.head(0, 8), r.queries(0, 0, 1).q, {}, got.data()),
            -std::numeric_limits<double>::infinity());
  EXPECT_EQ(got[5], 0.0f);
}

TEST(AttendLists, VisibleKeysAreAscendingCausalAndInTheWindow) {
  const RowList list{{64, 130}, {0, 3, 128}, 2, 100};
  std::vector<int32_t> keys, want = {0};
  visible_keys(list, 131, keys);  // the window begins at 32
  for (int32_t k = 64; k < 128; ++k) want.push_back(k);
  for (const int32_t k : {128, 130, 131}) want.push_back(k);
  EXPECT_EQ(keys, want);
}

}  // namespace
}  // namespace fathom::kv
