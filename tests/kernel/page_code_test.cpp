#include "kernel/page_code.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "base/half.h"

namespace fathom::kernel {
namespace {

constexpr KvFormat kCoded[] = {KvFormat::kQ8, KvFormat::kQ4,  KvFormat::kQ2,  KvFormat::kT4,
                               KvFormat::kT2, KvFormat::kNf4, KvFormat::kFp4, KvFormat::kBfp4};
constexpr Plane kPlanes[] = {Plane::kKeys, Plane::kValues};

struct Coded {
  PlaneShape shape;
  std::vector<float> x;
  std::vector<uint8_t> bytes;
  Coded(KvFormat format, Plane plane, size_t head_dim, float offset)
      : shape(plane_shape(plane, head_dim)), x(shape.lines * shape.lanes) {
    std::mt19937_64 rng(head_dim);
    std::normal_distribution<float> normal;
    for (float& value : x) value = offset + normal(rng);
    bytes.resize(coded_bytes(format, plane, head_dim));
    encode_plane(format, plane, head_dim, x.data(), bytes.data());
  }
};

// The group's numbers that value (line, lane) was coded with.
std::vector<float> group_of(const Coded& c, KvFormat format, Plane plane, size_t line,
                            size_t lane) {
  std::vector<float> group;
  const auto [lines, lanes] = code_group(format, plane);
  for (size_t l = 0; l < c.shape.lines; ++l) {
    for (size_t i = 0; i < c.shape.lanes; ++i) {
      if (l / lines == line / lines && i / lanes == lane / lanes)
        group.push_back(c.x[l * c.shape.lanes + i]);
    }
  }
  return group;
}

// Half a step, half an ulp of the step for each step away, and half an ulp of the minimum. An
// integral zero point moves the grid by up to half a step; a block's top code is a step below its
// largest power of two; levels have gaps of their own.
double bound(const std::vector<float>& group, KvFormat format) {
  float low = group[0], high = group[0];
  for (const float x : group) {
    low = std::min(low, x);
    high = std::max(high, x);
  }
  const double ulp = 0x1p-11;
  if (format == KvFormat::kQ8) {
    const double step = std::max(std::fabs(low), std::fabs(high)) / 127.0;
    return step * (0.5 + 127 * ulp + ulp);
  }
  const double peak = std::max(std::fabs(low), std::fabs(high));
  if (format == KvFormat::kNf4) return peak * ((1 - 0.6961928) / 2 + ulp);
  if (format == KvFormat::kFp4) return peak * (2 / 12.0 + ulp);
  if (format == KvFormat::kBfp4) return std::exp2(std::floor(std::log2(peak)) - 2);
  const bool zero_point = format == KvFormat::kT4 || format == KvFormat::kT2;
  const double top = (1 << code_bits(format)) - 1;
  const double step = (double(high) - low) / top;
  return step * ((zero_point ? 1.0 : 0.5) + top * ulp + ulp) + 2 * std::fabs(low) * ulp;
}

TEST(PageCode, EveryValueIsWithinHalfAStep) {
  for (const KvFormat format : kCoded) {
    for (const Plane plane : kPlanes) {
      for (const size_t d : {8, 32, 40, 64, 96, 128}) {
        const Coded c(format, plane, d, 3.0f);
        for (size_t at = 0; at < c.x.size(); at += 7) {
          const size_t line = at / c.shape.lanes, lane = at % c.shape.lanes;
          const double got = decode_code(format, plane, d, c.bytes.data(), line, lane);
          ASSERT_NEAR(got, c.x[at], bound(group_of(c, format, plane, line, lane), format) + 1e-7)
              << int(format) << " " << int(plane) << " " << d << " " << line << " " << lane;
        }
      }
    }
  }
}

TEST(PageCode, SizesAreThoseOfTheCards) {
  // Bits a value at head size 128: Q8_0's 8.5, KIVI's b + 1.
  EXPECT_EQ(coded_bytes(KvFormat::kQ8, Plane::kKeys, 128) * 8, 64 * 128 * 17 / 2);
  EXPECT_EQ(coded_bytes(KvFormat::kQ8, Plane::kValues, 128) * 8, 64 * 128 * 17 / 2);
  EXPECT_EQ(coded_bytes(KvFormat::kQ4, Plane::kKeys, 128) * 8, 64 * 128 * 5);
  EXPECT_EQ(coded_bytes(KvFormat::kQ2, Plane::kValues, 128) * 8, 64 * 128 * 3);
  for (const Plane plane : kPlanes) {  // RotateKV's b + 32/128, NF4's and BFP12's 4.25
    EXPECT_EQ(coded_bytes(KvFormat::kT4, plane, 128) * 32, 64 * 128 * 17);
    EXPECT_EQ(coded_bytes(KvFormat::kT2, plane, 128) * 32, 64 * 128 * 9);
    EXPECT_EQ(coded_bytes(KvFormat::kNf4, plane, 128) * 32, 64 * 128 * 17);
    EXPECT_EQ(coded_bytes(KvFormat::kFp4, plane, 128) * 32, 64 * 128 * 17);
    EXPECT_EQ(coded_bytes(KvFormat::kBfp4, plane, 128) * 32, 64 * 128 * 17);
    // At head size 64 two bits are at most a sixth of f16.
    EXPECT_LE(6 * coded_bytes(KvFormat::kT2, plane, 64), 64u * 64 * 2);
  }
}

// Each level is its own code's number, and no other level is nearer to any number.
TEST(PageCode, LevelsAreFixedPointsAndNearest) {
  for (const KvFormat format : {KvFormat::kNf4, KvFormat::kFp4}) {
    const float* levels = format == KvFormat::kNf4 ? kNf4Levels : kFp4Levels;
    std::vector<float> x(64 * 64);
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = i % 64 < 16 ? levels[i % 64] : static_cast<float>(i) / 2048.0f - 1.0f;
    }
    x[63] = 1.0f;  // every line's peak is 1
    for (size_t line = 0; line < 64; ++line) x[line * 64 + 20] = -1.0f;
    std::vector<uint8_t> bytes(coded_bytes(format, Plane::kKeys, 64));
    encode_plane(format, Plane::kKeys, 64, x.data(), bytes.data());
    for (size_t i = 0; i < x.size(); ++i) {
      const float got = decode_code(format, Plane::kKeys, 64, bytes.data(), i / 64, i % 64);
      if (i % 64 < 16) {
        EXPECT_EQ(got, x[i]);
      }
      for (size_t l = 0; l < 16; ++l) {
        EXPECT_LE(std::fabs(got - x[i]), std::fabs(levels[l] - x[i]) + 1e-6) << i << " " << l;
      }
    }
  }
}

// RotateKV's grid holds 0 exactly, and clipping leaves a share of the range.
TEST(PageCode, ZeroPointsAreIntegral) {
  std::mt19937_64 rng(3);
  std::normal_distribution<float> normal;
  std::vector<float> x(64 * 64);
  for (float& v : x) v = normal(rng);
  for (size_t lane = 0; lane < 64; ++lane) x[lane] = 0.0f;  // channel 0
  for (const KvFormat format : {KvFormat::kT4, KvFormat::kT2}) {
    for (const float clip : {1.0f, 0.8f}) {
      std::vector<uint8_t> bytes(coded_bytes(format, Plane::kKeys, 64));
      encode_plane(format, Plane::kKeys, 64, x.data(), bytes.data(), clip);
      for (size_t lane = 0; lane < 64; ++lane) {
        float low = 0, high = 0, largest = 0;
        for (size_t line = 0; line < 64; ++line) {
          low = std::min(low, x[line * 64 + lane]);
          high = std::max(high, x[line * 64 + lane]);
          const float got = decode_code(format, Plane::kKeys, 64, bytes.data(), line, lane);
          largest = std::max(largest, std::fabs(got));
        }
        const float step = (high - low) * clip / static_cast<float>((1 << code_bits(format)) - 1);
        EXPECT_LE(std::fabs(decode_code(format, Plane::kKeys, 64, bytes.data(), 0, lane)),
                  largest * 0x1p-10);
        EXPECT_LE(largest, clip * std::max(-low, high) + 0.51f * step);
      }
    }
  }
}

TEST(PageCode, ConstantsZerosAndExtremesAreFinite) {
  for (const KvFormat format : kCoded) {
    for (const float value : {0.0f, -7.5f, 1e-30f, 3e38f, -3e38f}) {
      const PlaneShape shape = plane_shape(Plane::kKeys, 64);
      const std::vector<float> x(shape.lines * shape.lanes, value);
      std::vector<uint8_t> bytes(coded_bytes(format, Plane::kKeys, 64));
      encode_plane(format, Plane::kKeys, 64, x.data(), bytes.data());
      const float got = decode_code(format, Plane::kKeys, 64, bytes.data(), 5, 9);
      EXPECT_TRUE(std::isfinite(got));
      if (std::fabs(value) < 100 && std::fabs(value) != 1e-30f) {
        const double rounding = format == KvFormat::kBfp4 ? 0.07 : 0x1p-10;  // of -7.5 to -8
        EXPECT_NEAR(got, value, std::fabs(value) * rounding);
      }
    }
  }
}

}  // namespace
}  // namespace fathom::kernel
