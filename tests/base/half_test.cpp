#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fathom {
namespace {

TEST(Half, EveryPatternSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Half h{static_cast<uint16_t>(bits)};
    const float f = to_float(h);
    if (std::isnan(f)) {
      EXPECT_TRUE(std::isnan(to_float(to_half(f))));
    } else {
      EXPECT_EQ(to_half(f).bits, bits);
    }
  }
}

TEST(Half, KnownValues) {
  EXPECT_EQ(to_float(Half{0x3c00}), 1.0f);
  EXPECT_EQ(to_float(Half{0xc000}), -2.0f);
  EXPECT_EQ(to_float(Half{0x7bff}), 65504.0f);
  EXPECT_EQ(to_float(Half{0x0001}), 0x1p-24f);
  EXPECT_TRUE(std::isinf(to_float(Half{0x7c00})));
}

// The nearest value wins and a tie goes to the even pattern, over the whole range of a step.
TEST(Half, RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const double low = to_float(Half{static_cast<uint16_t>(bits)});
    const double high = to_float(Half{static_cast<uint16_t>(bits + 1)});
    const float middle = static_cast<float>((low + high) / 2);
    const uint16_t even = static_cast<uint16_t>(bits % 2 == 0 ? bits : bits + 1);
    EXPECT_EQ(to_half(middle).bits, even) << bits;
    EXPECT_EQ(to_half(std::nextafter(middle, 0.0f)).bits, bits) << bits;
    EXPECT_EQ(to_half(std::nextafter(middle, 1e9f)).bits, bits + 1) << bits;
  }
  EXPECT_EQ(to_half(65519.0f).bits, 0x7bff);
  EXPECT_EQ(to_half(65520.0f).bits, 0x7c00);
}

TEST(BFloat, RoundTripAndRounding) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const BFloat b{static_cast<uint16_t>(bits)};
    const float f = to_float(b);
    if (!std::isnan(f)) {
      EXPECT_EQ(to_bfloat(f).bits, bits);
    }
  }
  EXPECT_EQ(to_bfloat(1.0f + 0x1p-8f).bits, 0x3f80);  // a tie goes to even
  EXPECT_EQ(to_bfloat(1.0f + 0x1p-8f + 0x1p-20f).bits, 0x3f81);
  EXPECT_TRUE(std::isnan(to_float(to_bfloat(std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace
}  // namespace fathom
