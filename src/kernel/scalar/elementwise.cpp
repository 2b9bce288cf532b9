// The element-by-element kernels by definition.
#include <algorithm>
#include <cmath>

#include "kernel/scalar/tables.h"

namespace fathom::kernel {
namespace {

void rms_norm(const NormArgs& a) {
  double sum = 0;
  for (size_t i = 0; i < a.n; ++i) sum += double{a.x[i]} * a.x[i];
  const double factor = 1.0 / std::sqrt(sum / static_cast<double>(a.n) + a.epsilon);
  for (size_t i = 0; i < a.n; ++i) {
    a.out[i] = static_cast<float>(a.x[i] * factor * (a.weight ? a.weight[i] : 1.0f));
  }
}

void rope(const RopeArgs& a) {
  const size_t half = a.rotated / 2;
  for (size_t h = 0; h < a.heads; ++h) {
    float* x = a.x + h * a.head_dim;
    for (size_t i = 0; i < half; ++i) {
      float& first = a.style == RopeStyle::kAdjacent ? x[2 * i] : x[i];
      float& second = a.style == RopeStyle::kAdjacent ? x[2 * i + 1] : x[i + half];
      const float u = first * a.cos[i] - second * a.sin[i];
      const float v = first * a.sin[i] + second * a.cos[i];
      first = u;
      second = v;
    }
  }
}

void quantize(const QuantizeArgs& a) {
  for (size_t block = 0; block < a.n / 32; ++block) {
    const float* x = a.x + 32 * block;
    float peak = 0;
    for (size_t i = 0; i < 32; ++i) peak = std::max(peak, std::fabs(x[i]));
    const float inverse = peak > 0 ? 127.0f / peak : 0.0f;
    a.scales[block] = peak / 127.0f;
    a.sums[2 * block] = a.sums[2 * block + 1] = 0;
    for (size_t i = 0; i < 32; ++i) {
      const int32_t code = static_cast<int32_t>(std::nearbyint(x[i] * inverse));
      a.codes[32 * block + i] = static_cast<int8_t>(code);
      a.sums[2 * block + i / 16] += code;
    }
  }
}

void row_to_bfloat(const float* x, size_t n, BFloat* out) {
  for (size_t i = 0; i < n; ++i) out[i] = to_bfloat(x[i]);
}

void silu_mul(const float* gate, const float* up, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

void gelu_mul(const float* gate, const float* up, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) {
    const float g = gate[i];
    const float t = std::tanh(0.7978845608028654f * (g + 0.044715f * g * g * g));
    out[i] = 0.5f * g * (1.0f + t) * up[i];
  }
}

void add_rows(const float* a, const float* b, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

void soft_cap(float* x, size_t n, float cap) {
  for (size_t i = 0; i < n; ++i) x[i] = cap * std::tanh(x[i] / cap);
}

}  // namespace

const ElementwiseKernels scalar_elementwise = {rms_norm, rope,     quantize, row_to_bfloat,
                                               silu_mul, gelu_mul, add_rows, soft_cap};

}  // namespace fathom::kernel
