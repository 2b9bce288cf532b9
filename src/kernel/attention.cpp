#include "kernel/attention.h"

#include <cmath>
#include <limits>

namespace fathom::kernel {

void merge_partials(const AttendState& into, const AttendState& from, size_t rows, size_t v_dim) {
  for (size_t r = 0; r < rows; ++r) {
    if (from.sum[r] == 0) continue;
    const float max = into.max[r] > from.max[r] ? into.max[r] : from.max[r];
    const float a = into.sum[r] == 0 ? 0.0f : std::exp2(into.max[r] - max);
    const float b = std::exp2(from.max[r] - max);
    into.max[r] = max;
    into.sum[r] = into.sum[r] * a + from.sum[r] * b;
    float* out = into.out + r * v_dim;
    const float* other = from.out + r * v_dim;
    for (size_t c = 0; c < v_dim; ++c) out[c] = out[c] * a + other[c] * b;
  }
}

void finish_attention(const AttendState& state, size_t rows, size_t head_dim,
                      const AttendResult& result) {
  constexpr float kLn2 = 0.6931471805599453f;
  const size_t v_dim = padded_head_dim(head_dim);
  for (size_t r = 0; r < rows; ++r) {
    const float factor = state.sum[r] > 0 ? 1.0f / state.sum[r] : 0.0f;
    for (size_t c = 0; c < head_dim; ++c) {
      result.out[r * result.out_stride + c] = state.out[r * v_dim + c] * factor;
    }
    if (result.lse) {
      result.lse[r] = state.sum[r] > 0 ? (state.max[r] + std::log2(state.sum[r])) * kLn2
                                       : -std::numeric_limits<float>::infinity();
    }
  }
}

}  // namespace fathom::kernel
