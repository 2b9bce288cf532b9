#include <gtest/gtest.h>

#include <cmath>

#include "kv/replay/attend_lists.h"
#include "support/made_head.h"
#include "support/prefill_lists.h"

namespace fathom::kv {
namespace {

std::vector<RowList> select(const std::string& parameters, const test::MadeHead& head) {
  return test::run_select(*test::make_prefill("anchor(" + parameters + ")"),
                          head.chunk(0, head.tokens));
}

// The rule by definition, in f64: block 64, two blocks a super-block.
bool chosen_by_definition(const test::MadeHead& head, size_t super, size_t key, double theta) {
  const double scale = 1.0 / std::sqrt(32.0);
  const auto dot = [&](const float* q, size_t k) {
    double sum = 0;
    for (size_t c = 0; c < 32; ++c) sum += double{q[c]} * head.k[k * 32 + c];
    return sum * scale;
  };
  for (size_t b = 0; b < 2; ++b) {
    std::vector<float> mean(32);
    double anchor = 0;
    for (size_t i = super + b * 64; i < super + (b + 1) * 64; ++i) {
      double most = -1e30;
      for (size_t j = 0; j <= i; j = j + 1 == 64 ? super : j + 1)
        most = std::max(most, dot(head.query(i, 0), j));
      anchor += most / 64;
      for (size_t c = 0; c < 32; ++c) mean[c] += head.query(i, 0)[c] / 64;
    }
    if (dot(mean.data(), key) >= anchor - theta) return true;
  }
  return false;
}

TEST(Anchor, KeepsTheKeysThatTheDefinitionKeeps) {
  const test::MadeHead head(512, 11);
  const auto lists = select("theta=2.3,step=2,block=64", head);
  size_t kept = 0;
  for (const size_t super : {128, 256, 384}) {
    std::vector<int32_t> keys;
    visible_keys(lists[super / 64], super, keys);
    for (size_t j = 64; j < super; ++j) {
      const bool got = std::binary_search(keys.begin(), keys.end(), static_cast<int32_t>(j));
      // A score within f32 rounding of the threshold may go either way.
      if (chosen_by_definition(head, super, j, 2.3 - 1e-5)) {
        EXPECT_TRUE(got) << super << " " << j;
      } else if (!chosen_by_definition(head, super, j, 2.3 + 1e-5)) {
        EXPECT_FALSE(got) << super << " " << j;
      }
      kept += got;
    }
  }
  EXPECT_GT(kept, 20u);
  EXPECT_LT(kept, 500u);
}

// Theta at its least leaves the first block and the window; more theta never reads less.
TEST(Anchor, ReadsMoreWithMoreTheta) {
  const test::MadeHead head(1024, 12);
  size_t before = 0;
  for (const char* theta : {"-1000", "1", "2", "3", "1000"}) {
    const auto lists = select(std::string("step=2,block=64,theta=") + theta, head);
    std::vector<int32_t> keys;
    visible_keys(lists[15], 1023, keys);
    if (before == 0) {
      EXPECT_EQ(keys.size(), 64u + 128);
    } else {
      EXPECT_GE(keys.size(), before);
    }
    before = keys.size();
  }
  EXPECT_EQ(before, 1024u);
}

}  // namespace
}  // namespace fathom::kv
