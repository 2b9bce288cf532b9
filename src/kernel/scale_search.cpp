#include "kernel/scale_search.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace fathom::kernel {
namespace {

// Four values at a time in the compiler's own vectors: the same operations on every processor.
using Lanes = float __attribute__((vector_size(16)));
constexpr size_t kLanes = 4;

Lanes load(const float* at) {
  Lanes v;
  std::memcpy(&v, at, sizeof(v));
  return v;
}
Lanes all(float v) { return Lanes{v, v, v, v}; }
float total(Lanes v) { return (v[0] + v[2]) + (v[1] + v[3]); }

// v cut to [low, high] and rounded to integers.
Lanes codes_of(Lanes v, Lanes low, Lanes high) {
  v = v < high ? v : high;
  v = v > low ? v : low;
  return (v + 12582912.0f) - 12582912.0f;
}

struct CodeSums {  // weighted, over one group's codes q
  float q = 0, qq = 0, qx = 0;
};
struct ValueSums {  // weighted, over one group's values
  float w = 0, x = 0;
};

// The sums over the codes that (x + offset) * inverse rounds to in [0, top].
CodeSums affine_code_sums(std::span<const float> x, std::span<const float> weights, float offset,
                          float inverse, float top) {
  Lanes sum_q{}, sum_qq{}, sum_qx{};
  for (size_t i = 0; i < x.size(); i += kLanes) {
    const Lanes v = load(&x[i]);
    const Lanes q = codes_of((v + all(offset)) * all(inverse), all(0.0f), all(top));
    const Lanes wq = load(&weights[i]) * q;
    sum_q += wq;
    sum_qq += wq * q;
    sum_qx += wq * v;
  }
  return {total(sum_q), total(sum_qq), total(sum_qx)};
}

// The weighted least-squares scale and minimum for given codes; the minimum is kept from going
// negative.
AffineFit least_squares(const ValueSums& value, const CodeSums& code, float determinant) {
  const float scale = (value.w * code.qx - value.x * code.q) / determinant;
  const float low = (code.qq * value.x - code.q * code.qx) / determinant;
  if (low > 0.0f) return {code.qx / code.qq, 0.0f};
  return {scale, -low};
}

}  // namespace

float signed_peak(std::span<const float> x) {
  float peak = 0;
  for (const float v : x) {
    if (std::fabs(v) > std::fabs(peak)) peak = v;
  }
  return peak;
}

AffineFit fit_affine(std::span<const float> x, std::span<const float> weights,
                     const AffineSearch& search) {
  const float low = std::min(0.0f, *std::min_element(x.begin(), x.end()));
  const float high = *std::max_element(x.begin(), x.end());
  if (!(high > low)) return {0.0f, -low};

  ValueSums sum;
  for (size_t i = 0; i < x.size(); ++i) {
    sum.w += weights[i];
    sum.x += weights[i] * x[i];
  }
  const float top = static_cast<float>(search.top);
  AffineFit best{(high - low) / top, -low};
  float most = -std::numeric_limits<float>::infinity();
  for (int t = 0; t < search.tries; ++t) {
    const float inverse = (top + search.first + 0.1f * static_cast<float>(t)) / (high - low);
    const CodeSums sums = affine_code_sums(x, weights, -low, inverse, top);
    const float determinant = sum.w * sums.qq - sums.q * sums.q;
    if (!(determinant > 0.0f)) continue;
    const AffineFit fit = least_squares(sum, sums, determinant);
    // At the least-squares optimum the squared error is sum w x^2 less this.
    const float explained = fit.scale * sums.qx - fit.minimum * sum.x;
    if (explained > most) {
      most = explained;
      best = fit;
    }
  }
  return best;
}

float fit_symmetric(std::span<const float> x, int top) {
  const float peak = signed_peak(x);
  if (std::fabs(peak) < 1e-15f) return 0.0f;
  const float low = static_cast<float>(-top), high = static_cast<float>(top - 1);
  float best = 0, scale = 0;
  for (int t = -9; t <= 9; ++t) {
    const float inverse = -(static_cast<float>(top) + 0.1f * static_cast<float>(t)) / peak;
    Lanes sum_qx{}, sum_qq{};
    for (size_t i = 0; i < x.size(); i += kLanes) {
      const Lanes v = load(&x[i]);
      const Lanes q = codes_of(v * all(inverse), all(low), all(high));
      const Lanes wq = v * v * q;
      sum_qx += wq * v;
      sum_qq += wq * q;
    }
    const float dot = total(sum_qx), norm = total(sum_qq);
    if (norm > 0.0f && dot * dot > best * norm) {
      scale = dot / norm;
      best = scale * dot;
    }
  }
  return scale;
}

}  // namespace fathom::kernel
