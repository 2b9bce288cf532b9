#include "kernel/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernel/kernels.h"

namespace fathom::kernel {
namespace {

std::vector<float> normals(size_t n, float size, uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(rng) * size;
  return out;
}

class Elementwise : public testing::TestWithParam<const Kernels*> {
 protected:
  void SetUp() override {
    if (!GetParam()->runs_here()) GTEST_SKIP() << "this processor lacks " << GetParam()->name;
  }
  const ElementwiseKernels& fast() const { return GetParam()->elementwise; }
  const ElementwiseKernels& scalar() const { return scalar_kernels().elementwise; }
};

constexpr size_t kSizes[] = {1, 7, 8, 15, 16, 17, 64, 172, 1000};

TEST_P(Elementwise, RmsNorm) {
  for (const size_t n : kSizes) {
    const auto x = normals(n, 3, n), w = normals(n, 1, n + 1);
    for (const float* weight : {w.data(), static_cast<const float*>(nullptr)}) {
      std::vector<float> a(n), b(n);
      fast().rms_norm({x.data(), weight, n, 1e-5f, a.data()});
      scalar().rms_norm({x.data(), weight, n, 1e-5f, b.data()});
      for (size_t i = 0; i < n; ++i) EXPECT_NEAR(a[i], b[i], 2e-6 * std::fabs(b[i]) + 1e-12);
    }
  }
}

TEST_P(Elementwise, RopeOfBothStyles) {
  for (const RopeStyle style : {RopeStyle::kAdjacent, RopeStyle::kHalf}) {
    for (const size_t rotated : {8, 32, 64}) {
      const auto angles = normals(rotated / 2, 3, 1);
      std::vector<float> cos, sin;
      for (const float t : angles) {
        cos.push_back(std::cos(t));
        sin.push_back(std::sin(t));
      }
      auto a = normals(3 * 64, 1, 2), b = a;
      fast().rope({a.data(), 3, 64, rotated, cos.data(), sin.data(), style});
      scalar().rope({b.data(), 3, 64, rotated, cos.data(), sin.data(), style});
      for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-6);
      // Rotations keep lengths; what is not rotated stays.
      const auto x = normals(3 * 64, 1, 2);
      for (size_t h = 0; h < 3; ++h) {
        double before = 0, after = 0;
        for (size_t i = 0; i < 64; ++i) {
          before += double{x[h * 64 + i]} * x[h * 64 + i];
          after += double{a[h * 64 + i]} * a[h * 64 + i];
          if (i >= rotated) {
            EXPECT_EQ(a[h * 64 + i], x[h * 64 + i]);
          }
        }
        EXPECT_NEAR(before, after, 1e-5 * before);
      }
    }
  }
}

TEST_P(Elementwise, QuantizeEqualsTheDefinition) {
  for (const float size : {1.0f, 1e-30f, 1e30f, 0.0f}) {
    const size_t n = 256;
    const auto x = normals(n, size, 4);
    std::vector<int8_t> codes(n), want_codes(n);
    std::vector<float> scales(n / 32), want_scales(n / 32);
    std::vector<int32_t> sums(n / 16), want_sums(n / 16);
    fast().quantize({x.data(), n, codes.data(), scales.data(), sums.data()});
    scalar().quantize({x.data(), n, want_codes.data(), want_scales.data(), want_sums.data()});
    EXPECT_EQ(codes, want_codes);
    EXPECT_EQ(scales, want_scales);
    EXPECT_EQ(sums, want_sums);
    for (size_t i = 0; i < n; ++i) {
      EXPECT_LE(std::fabs(x[i] - codes[i] * scales[i / 32]), 0.5001f * scales[i / 32]);
      EXPECT_GE(codes[i], -127);
    }
  }
}

TEST_P(Elementwise, BFloatRounding) {
  const auto x = normals(1000, 100, 8);
  std::vector<BFloat> out(1000);
  fast().to_bfloat(x.data(), 1000, out.data());
  for (size_t i = 0; i < 1000; ++i) EXPECT_EQ(out[i].bits, to_bfloat(x[i]).bits);
}

TEST_P(Elementwise, GatedActivations) {
  for (const size_t n : kSizes) {
    auto gate = normals(n, 8, n);
    gate[0] = 90.0f;  // where e^x leaves the range of floats
    if (n > 1) gate[1] = -90.0f;
    const auto up = normals(n, 1, n + 7);
    std::vector<float> a(n), b(n);
    fast().silu_mul(gate.data(), up.data(), n, a.data());
    for (size_t i = 0; i < n; ++i) {
      const double want = gate[i] / (1 + std::exp(-double{gate[i]})) * up[i];
      EXPECT_NEAR(a[i], want, 1e-6 * std::fabs(want) + 1e-7) << gate[i];
    }
    fast().gelu_mul(gate.data(), up.data(), n, a.data());
    for (size_t i = 0; i < n; ++i) {
      const double g = gate[i];
      const double want =
          0.5 * g * (1 + std::tanh(0.7978845608028654 * (g + 0.044715 * g * g * g))) * up[i];
      EXPECT_NEAR(a[i], want, 2e-6 * std::fabs(want) + 1e-6) << gate[i];
    }
  }
}

TEST_P(Elementwise, SoftCapAndAdd) {
  for (const size_t n : kSizes) {
    auto x = normals(n, 60, n);
    x[0] = 1e-3f;
    auto capped = x;
    fast().soft_cap(capped.data(), n, 30.0f);
    for (size_t i = 0; i < n; ++i) {
      const double want = 30 * std::tanh(double{x[i]} / 30);
      EXPECT_NEAR(capped[i], want, 3e-6 * std::fabs(want) + 1e-9);
    }
    std::vector<float> sum(n);
    fast().add(x.data(), capped.data(), n, sum.data());
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(sum[i], x[i] + capped[i]);
  }
}

std::vector<const Kernels*> tables() { return {all_kernels().begin(), all_kernels().end()}; }
INSTANTIATE_TEST_SUITE_P(EachIsa, Elementwise, testing::ValuesIn(tables()),
                         [](const testing::TestParamInfo<const Kernels*>& p) {
                           return std::string(p.param->name);
                         });

}  // namespace
}  // namespace fathom::kernel
