#include "kernel/score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
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

class Score : public testing::TestWithParam<const Kernels*> {
 protected:
  void SetUp() override {
    if (!GetParam()->runs_here()) GTEST_SKIP() << "this processor lacks " << GetParam()->name;
  }
  const ScoreKernels& fast() const { return GetParam()->score; }
};

struct ScoreCase {
  size_t rows, columns, inner, padding;
};
constexpr ScoreCase kScoreCases[] = {{1, 1, 1, 0},   {4, 4, 64, 0}, {5, 7, 33, 3},
                                     {64, 9, 80, 1}, {3, 1, 17, 0}, {0, 3, 8, 0}};

// Inputs are exact; only sums differ: |error| <= inner * eps * sum |a_i b_i|, scaled.
TEST_P(Score, ProductsOfRows) {
  for (const ScoreCase& c : kScoreCases) {
    const size_t stride = c.inner + c.padding, out_stride = c.columns + 2;
    const auto a = normals(c.rows * stride + 1, 2, 1), b = normals(c.columns * stride, 3, 2);
    std::vector<float> out(c.rows * out_stride + 1, -7.0f);
    fast().scores({a.data(), stride, c.rows, b.data(), stride, c.columns, c.inner, 0.5f, out.data(),
                   out_stride});
    for (size_t r = 0; r < c.rows; ++r) {
      for (size_t k = 0; k < c.columns; ++k) {
        double dot = 0, size = 0;
        for (size_t i = 0; i < c.inner; ++i) {
          const double p = double{a[r * stride + i]} * b[k * stride + i];
          dot += p;
          size += std::fabs(p);
        }
        const double eps = std::numeric_limits<float>::epsilon();
        EXPECT_NEAR(out[r * out_stride + k], 0.5 * dot, 0.5 * double(c.inner + 1) * eps * size);
      }
      EXPECT_EQ(out[r * out_stride + c.columns], -7.0f);  // nothing beyond a row
    }
  }
}

// Keys of 16 bits are numbers like any others.
TEST_P(Score, ProductsWithKeysOf16BitsAreThoseOfTheirFloats) {
  constexpr size_t kRows = 5, kColumns = 7, kInner = 48;
  const auto a = normals(kRows * kInner, 4, 1), b = normals(kColumns * kInner, 5, 2);
  const auto expect = [&]<class B>(auto scores, B (*round)(float)) {
    std::vector<B> keys(b.size());
    std::vector<float> floats(b.size());
    for (size_t i = 0; i < b.size(); ++i) floats[i] = to_float(keys[i] = round(b[i]));
    std::vector<float> out(kRows * kColumns), want(out.size());
    scores({a.data(), kInner, kRows, keys.data(), kInner, kColumns, kInner, 0.5f, out.data(),
            kColumns});
    fast().scores({a.data(), kInner, kRows, floats.data(), kInner, kColumns, kInner, 0.5f,
                   want.data(), kColumns});
    EXPECT_EQ(out, want);
  };
  expect(
      fast().bfloat_scores, +[](float x) { return to_bfloat(x); });
  expect(
      fast().half_scores, +[](float x) { return to_half(x); });
}

float rounded(float x) { return to_float(to_bfloat(x)); }

// Products of rounded numbers are exact, so the bound is that of the sums alone; a sum that is
// taken in two halves has one more rounding.
TEST_P(Score, RoundedProductsOfRows) {
  if (!fast().rounded_scores) GTEST_SKIP() << "this instruction set has no BF16 products to round";
  constexpr ScoreCase kCases[] = {{1, 1, 1, 0},    {7, 65, 64, 0},  {64, 130, 80, 1},
                                  {13, 17, 33, 3}, {5, 6, 1024, 0}, {9, 4, 2500, 7},
                                  {2, 3, 256, 0},  {6, 64, 257, 0}, {0, 3, 8, 0}};
  for (const ScoreCase& c : kCases) {
    const size_t stride = (c.inner + 31) / 32 * 32, b_stride = c.inner + c.padding;
    const size_t out_stride = c.columns + 2;
    const auto a = normals(c.rows * stride + 1, 2, 1), b = normals(c.columns * b_stride, 3, 2);
    std::vector<BFloat> a16(c.rows * stride + 1);
    for (size_t i = 0; i < c.rows * stride; ++i) {
      a16[i] = i % stride < c.inner ? to_bfloat(a[i]) : BFloat{};
    }
    std::vector<float> out(c.rows * out_stride + 1, -7.0f);
    fast().rounded_scores({a16.data(), stride, c.rows, b.data(), b_stride, c.columns, c.inner, 0.5f,
                           out.data(), out_stride});
    for (size_t r = 0; r < c.rows; ++r) {
      for (size_t k = 0; k < c.columns; ++k) {
        double dot = 0, size = 0;
        for (size_t i = 0; i < c.inner; ++i) {
          const double p = double{rounded(a[r * stride + i])} * rounded(b[k * b_stride + i]);
          dot += p;
          size += std::fabs(p);
        }
        const double eps = std::numeric_limits<float>::epsilon();
        EXPECT_NEAR(out[r * out_stride + k], 0.5 * dot, 0.5 * double(c.inner + 1) * eps * size)
            << c.inner << ": " << r << " " << k;
      }
      EXPECT_EQ(out[r * out_stride + c.columns], -7.0f);  // nothing beyond a row
    }
  }
}

// A product is the same bits alone and in the middle of a large call.
TEST_P(Score, BitsDoNotDependOnTheCall) {
  constexpr size_t kRows = 9, kColumns = 11, kInner = 70;
  const auto a = normals(kRows * kInner, 1, 3), b = normals(kColumns * kInner, 1, 4);
  std::vector<float> all(kRows * kColumns);
  fast().scores(
      {a.data(), kInner, kRows, b.data(), kInner, kColumns, kInner, 0.3f, all.data(), kColumns});
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t c = 0; c < kColumns; ++c) {
      float one = 0;
      fast().scores({a.data() + r * kInner, kInner, 1, b.data() + c * kInner, kInner, 1, kInner,
                     0.3f, &one, 1});
      EXPECT_EQ(one, all[r * kColumns + c]) << r << " " << c;
    }
  }
}

// e^x is good to 2e-7 (generic/math.h), x - max is rounded to 6e-8 of itself, and a sum of n terms
// is good to n * 6e-8, all relative.
TEST_P(Score, SoftmaxAndRowMax) {
  const float none = -std::numeric_limits<float>::infinity();
  for (const size_t n : {1, 5, 16, 17, 64, 1000}) {
    auto x = normals(n, 10, n);
    if (n > 5) x[3] = none;
    std::vector<float> y = x;
    fast().softmax(y.data(), n);
    double most = none, sum = 0;
    for (const float v : x) most = std::max<double>(most, v);
    EXPECT_EQ(fast().row_max(x.data(), n), static_cast<float>(most));
    for (const float v : x) sum += std::exp(v - most);
    for (size_t i = 0; i < n; ++i) {
      const double want = std::exp(x[i] - most) / sum;
      const double rounding = 6e-8 * (static_cast<double>(n + 4) + (most - x[i]));
      EXPECT_NEAR(y[i], want, want > 0 ? (2e-7 + rounding) * want : 1e-37) << i;
    }
    if (n > 5) {
      EXPECT_LE(y[3], 1e-37f);
    }
  }
  EXPECT_EQ(fast().row_max(nullptr, 0), none);
}

INSTANTIATE_TEST_SUITE_P(Isa, Score, testing::ValuesIn(all_kernels().begin(), all_kernels().end()),
                         [](const auto& param) { return std::string(param.param->name); });

}  // namespace
}  // namespace fathom::kernel
