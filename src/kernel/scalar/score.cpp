// The score kernels by definition.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernel/scalar/tables.h"

namespace fathom::kernel {
namespace {

template <class B>
float number(B x) {
  if constexpr (std::is_same_v<B, float>)
    return x;
  else
    return to_float(x);
}

template <class B>
void scores(const ScoreArgsOf<float, B>& s) {
  for (size_t r = 0; r < s.rows; ++r) {
    for (size_t c = 0; c < s.columns; ++c) {
      const float* a = s.a + r * s.a_stride;
      const B* b = s.b + c * s.b_stride;
      float sum = 0;
      for (size_t i = 0; i < s.inner; ++i) sum += a[i] * number(b[i]);
      s.out[r * s.out_stride + c] = s.scale * sum;
    }
  }
}

float row_max(const float* x, size_t n) {
  float most = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < n; ++i) most = std::max(most, x[i]);
  return most;
}

void softmax(float* x, size_t n) {
  const float most = row_max(x, n);
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += x[i] = std::exp(x[i] - most);
  const float factor = static_cast<float>(1.0 / sum);
  for (size_t i = 0; i < n; ++i) x[i] *= factor;
}

}  // namespace

const ScoreKernels scalar_score = {scores<float>, scores<BFloat>, scores<Half>,
                                   nullptr,       softmax,        row_max};

}  // namespace fathom::kernel
