#include "kv/prefill/zipvl.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/made_head.h"

namespace fathom::kv {
namespace {

using test::MadeHead;

TEST(ZipVL, ShareOfOneTakesEveryToken) {
  const MadeHead head(700, 1);
  EXPECT_EQ(zipvl_tokens(head.chunk(0, 700), {1.0, 64}).size(), 700u);
}

TEST(ZipVL, CountGrowsWithTheShare) {
  const MadeHead head(900, 2);
  size_t last = 0;
  for (const double tau : {0.1, 0.5, 0.9, 0.975, 0.999}) {
    const size_t count = zipvl_tokens(head.chunk(300, 900), {tau, 32}).size();
    EXPECT_GE(count, last) << tau;
    last = count;
  }
  EXPECT_LT(last, 900u);
}

// Uniform attention: with the last query alone as probe, a share of tau takes ceil(tau n) tokens,
// or one more where sums of rounded weights end a hair below the share; the first four are always
// there.
TEST(ZipVL, UniformAttentionTakesItsShareOfTheTokens) {
  MadeHead head(640, 3);
  std::fill(head.k.begin(), head.k.end(), 0.0f);
  for (const double tau : {0.25, 0.5, 0.95}) {
    const size_t count = zipvl_tokens(head.chunk(639, 640), {tau, 1}).size();
    const auto want = static_cast<size_t>(std::ceil(tau * 640));
    EXPECT_GE(count, want) << tau;
    EXPECT_LE(count, want + 1) << tau;
  }
}

}  // namespace
}  // namespace fathom::kv
