// The arithmetic that policies share: top-k, pooling, softmax, rotation.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "kv/pooling.h"
#include "kv/rope.h"
#include "kv/top_k.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

using Indices = std::vector<int32_t>;

TEST(TopK, EqualScoresGoToTheLowerIndex) {
  EXPECT_EQ(top_k(std::vector<float>{1, 2, 2, 2, 0}, 2), (Indices{1, 2}));
  EXPECT_EQ(top_k(std::vector<float>{0.0f, -0.0f, 0.0f}, 2), (Indices{0, 1}));
  EXPECT_EQ(top_k(std::vector<float>{1, 2}, 5), (Indices{0, 1}));
  EXPECT_EQ(top_k(std::vector<float>{1, 2}, 0), Indices{});
  EXPECT_EQ(ranking(std::vector<float>{1, 3, 3, 2}), (Indices{1, 2, 3, 0}));
}

TEST(TopK, AgreesWithAStableSort) {
  std::mt19937 rng(5);
  std::vector<float> scores(300);
  for (float& s : scores) s = float(int(rng() % 40)) - 20;
  for (size_t k = 0; k <= 300; k += 7) {
    Indices want = ranking(scores);
    want.resize(k);
    std::sort(want.begin(), want.end());
    ASSERT_EQ(top_k(scores, k), want) << k;
  }
}

TEST(TopK, NotANumberBreaksNothing) {
  const float nan = std::nanf("");
  EXPECT_EQ(top_k(std::vector<float>{nan, 1, nan, 2, -nan, INFINITY}, 3).size(), 3u);
}

TEST(Pooling, AverageDividesByTheKernelAtTheEndsToo) {
  std::vector<float> s{3, 0, 0, 6};
  pool(Pooling::kAverage, 3, s);
  EXPECT_EQ(s, (std::vector<float>{1, 1, 2, 2}));
}

TEST(Pooling, MaximumIgnoresWhatIsBeyondTheEnds) {
  std::vector<float> s{-3, -9, -5, -7};
  pool(Pooling::kMax, 3, s);
  EXPECT_EQ(s, (std::vector<float>{-3, -3, -5, -5}));
  std::vector<float> one{-1};
  pool(Pooling::kMax, 7, one);
  EXPECT_EQ(one, std::vector<float>{-1});
}

// exp: polynomial 6e-9, rounding of r and 7 steps below 4 ulp, the sum and its reciprocal 3 more;
// and half an ulp of the exponent, which is its size times eps.
TEST(Vector, SoftmaxIsExactToAFewUlp) {
  std::mt19937 rng(3);
  std::normal_distribution<float> normal(0, 20);
  for (const size_t n : {1u, 15u, 16u, 17u, 1000u}) {
    std::vector<float> x(n);
    for (float& v : x) v = normal(rng);
    std::vector<double> want(x.begin(), x.end());
    const double most = *std::max_element(want.begin(), want.end());
    double sum = 0;
    for (double& w : want) sum += w = std::exp(w - most);
    softmax(x);
    for (size_t i = 0; i < n; ++i) {
      const double w = want[i] / sum;
      const double exponent = w > 0 ? -std::log(want[i]) : 0;
      ASSERT_NEAR(x[i], w, (8 + exponent) * 6e-8 * w + 2e-38) << i << " of " << n;
    }
  }
}

TEST(Vector, DotOfEveryLength) {
  std::vector<float> a(70), b(70);
  std::iota(a.begin(), a.end(), 1.0f);
  std::fill(b.begin(), b.end(), 2.0f);
  for (size_t n = 0; n <= 70; ++n) EXPECT_EQ(dot(a.data(), b.data(), n), float(n * (n + 1)));
}

TEST(Rotation, AnglesAdd) {
  const std::vector<double> frequencies{1.0, 0.1};
  for (const auto style : {kernel::RopeStyle::kAdjacent, kernel::RopeStyle::kHalf}) {
    const RopeView rope{frequencies, 1.0, style};
    std::vector<float> x{1, 2, 3, 4, 5}, once(5), twice(5);
    Rotation(rope, 7.0).apply(x.data(), 5, once.data());
    Rotation(rope, 3.0).apply(x.data(), 5, twice.data());
    Rotation(rope, 4.0).apply(twice.data(), 5, twice.data());
    for (size_t c = 0; c < 5; ++c) EXPECT_NEAR(once[c], twice[c], 4e-6);
    EXPECT_EQ(once[4], 5.0f);
  }
}

}  // namespace
}  // namespace fathom::kv
