#include "kernel/page_code.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "base/half.h"

namespace fathom::kernel {
namespace {

constexpr KvFormat kCoded[] = {KvFormat::kQ8, KvFormat::kQ4, KvFormat::kQ2};
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
  const bool by_lane = format == KvFormat::kQ8 && plane == Plane::kKeys;
  for (size_t l = 0; l < c.shape.lines; ++l) {
    for (size_t i = 0; i < c.shape.lanes; ++i) {
      const bool same =
          by_lane ? i == lane && l / 32 == line / 32 : l == line && i / 32 == lane / 32;
      if (same) group.push_back(c.x[l * c.shape.lanes + i]);
    }
  }
  return group;
}

// Half a step, half an ulp of the step for each step away, and half an ulp of the minimum.
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
  const double top = format == KvFormat::kQ4 ? 15 : 3;
  const double step = (double(high) - low) / top;
  return step * (0.5 + top * ulp + ulp) + std::fabs(low) * ulp;
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
        EXPECT_NEAR(got, value, std::fabs(value) * 0x1p-10);
      }
    }
  }
}

}  // namespace
}  // namespace fathom::kernel
