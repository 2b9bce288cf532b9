// The element-by-element kernels, written once for every vector type V. Contract:
// kernel/elementwise.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/elementwise.h"
#include "kernel/generic/math.h"

namespace fathom::kernel {

// fn(i, n) over [0, size) in vectors; the last may be short.
template <class V, class Fn>
FATHOM_INLINE void for_vectors(size_t size, Fn fn) {
  for (size_t i = 0; i < size; i += V::kLanes) fn(i, size - i < V::kLanes ? size - i : V::kLanes);
}
template <class V>
FATHOM_INLINE typename V::F load_upto(const float* p, size_t n) {
  return n == V::kLanes ? V::load(p) : V::load_n(p, n);
}
template <class V>
FATHOM_INLINE void store_upto(float* p, typename V::F x, size_t n) {
  if (n == V::kLanes) {
    V::store(p, x);
  } else {
    V::store_n(p, x, n);
  }
}

template <class V>
void rms_norm(const NormArgs& a) {
  typename V::F sum = V::zero();
  for_vectors<V>(a.n, [&](size_t i, size_t n) {
    const auto x = load_upto<V>(a.x + i, n);
    sum = V::fma(x, x, sum);
  });
  const float mean = V::reduce_add(sum) / static_cast<float>(a.n);
  const auto factor = V::set1(1.0f / __builtin_sqrtf(mean + a.epsilon));
  for_vectors<V>(a.n, [&](size_t i, size_t n) {
    auto y = V::mul(load_upto<V>(a.x + i, n), factor);
    if (a.weight) y = V::mul(y, load_upto<V>(a.weight + i, n));
    store_upto<V>(a.out + i, y, n);
  });
}

template <class V>
void rope(const RopeArgs& a) {
  const size_t half = a.rotated / 2;
  const bool adjacent = a.style == RopeStyle::kAdjacent;
  for (size_t h = 0; h < a.heads; ++h) {
    float* x = a.x + h * a.head_dim;
    for (size_t i = 0; i < half; ++i) {
      float& first = x[adjacent ? 2 * i : i];
      float& second = x[adjacent ? 2 * i + 1 : i + half];
      const float u = first * a.cos[i] - second * a.sin[i];
      const float v = first * a.sin[i] + second * a.cos[i];
      first = u;
      second = v;
    }
  }
}

template <class V>
void silu_mul(const float* gate, const float* up, size_t size, float* out) {
  for_vectors<V>(size, [&](size_t i, size_t n) {
    const auto g = load_upto<V>(gate + i, n);
    const auto e = kernel::exp<V>(V::sub(V::zero(), g));
    const auto silu = V::div(g, V::add(V::set1(1.0f), e));
    store_upto<V>(out + i, V::mul(silu, load_upto<V>(up + i, n)), n);
  });
}

template <class V>
void gelu_mul(const float* gate, const float* up, size_t size, float* out) {
  for_vectors<V>(size, [&](size_t i, size_t n) {
    const auto g = load_upto<V>(gate + i, n);
    const auto cubic = V::fma(V::mul(V::mul(g, g), V::set1(0.044715f)), g, g);
    const auto t = kernel::tanh<V>(V::mul(cubic, V::set1(0.7978845608028654f)));
    const auto gelu = V::mul(V::mul(V::set1(0.5f), g), V::add(V::set1(1.0f), t));
    store_upto<V>(out + i, V::mul(gelu, load_upto<V>(up + i, n)), n);
  });
}

template <class V>
void add_rows(const float* a, const float* b, size_t size, float* out) {
  for_vectors<V>(size, [&](size_t i, size_t n) {
    store_upto<V>(out + i, V::add(load_upto<V>(a + i, n), load_upto<V>(b + i, n)), n);
  });
}

template <class V>
void soft_cap(float* x, size_t size, float cap) {
  for_vectors<V>(size, [&](size_t i, size_t n) {
    const auto t = kernel::tanh<V>(V::mul(load_upto<V>(x + i, n), V::set1(1.0f / cap)));
    store_upto<V>(x + i, V::mul(t, V::set1(cap)), n);
  });
}

template <class V>
void row_to_bfloat(const float* x, size_t size, BFloat* out) {
  size_t i = 0;
  for (; i + V::kLanes <= size; i += V::kLanes) V::store_bf16(out + i, V::load(x + i));
  for (; i < size; ++i) out[i] = to_bfloat(x[i]);
}

template <class V>
void quantize(const QuantizeArgs& a) {
  for (size_t block = 0; block < a.n / 32; ++block) {
    const float* x = a.x + 32 * block;
    typename V::F top = V::zero();
    for (size_t i = 0; i < 32; i += V::kLanes) top = V::max(top, V::abs(V::load(x + i)));
    const float peak = V::reduce_max(top);
    const auto inverse = V::set1(peak > 0 ? 127.0f / peak : 0.0f);
    a.scales[block] = peak / 127.0f;
    for (size_t half = 0; half < 2; ++half) {
      typename V::I sum = V::set1_i32(0);
      for (size_t i = 16 * half; i < 16 * (half + 1); i += V::kLanes) {
        const auto codes = V::round_to_i32(V::mul(V::load(x + i), inverse));
        V::store_i8(a.codes + 32 * block + i, codes);
        sum = V::add_i32(sum, codes);
      }
      a.sums[2 * block + half] = V::reduce_add_i32(sum);
    }
  }
}

template <class V>
constexpr ElementwiseKernels elementwise_of() {
  return {rms_norm<V>, rope<V>,     quantize<V>, row_to_bfloat<V>,
          silu_mul<V>, gelu_mul<V>, add_rows<V>, soft_cap<V>};
}

}  // namespace fathom::kernel
