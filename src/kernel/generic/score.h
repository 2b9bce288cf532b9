// The score kernels, written once for every vector type V. Contract: kernel/score.h.
#pragma once

#include "kernel/generic/elementwise.h"
#include "kernel/score.h"

namespace fathom::kernel {

template <class V>
FATHOM_INLINE typename V::F load_key(const float* b, size_t n) {
  return load_upto<V>(b, n);
}
template <class V>
FATHOM_INLINE typename V::F load_key(const BFloat* b, size_t) {
  return V::load_bf16(b);
}
template <class V>
FATHOM_INLINE typename V::F load_key(const Half* b, size_t) {
  return V::load_f16(b);
}

// Adds products of n inner values at i to a tile of R x C sums.
template <class V, size_t R, size_t C, class B>
FATHOM_INLINE void add_products(const float* a, size_t a_stride, const B* b, size_t b_stride,
                                size_t n, typename V::F (&sum)[R][C]) {
  typename V::F column[C];
  for (size_t c = 0; c < C; ++c) column[c] = load_key<V>(b + c * b_stride, n);
  for (size_t r = 0; r < R; ++r) {
    const auto row = load_upto<V>(a + r * a_stride, n);
    for (size_t c = 0; c < C; ++c) sum[r][c] = V::fma(row, column[c], sum[r][c]);
  }
}

// out = scale * the sums across lanes. A sum's bits do not depend on the tile it lies in.
template <class V, size_t R, size_t C>
FATHOM_INLINE void store_tile(const typename V::F (&sum)[R][C], float scale, float* out,
                              size_t stride) {
  if constexpr (R == 4 && C == 4) {
    float flat[R * C];
    V::store(flat, V::mul(V::set1(scale), V::reduce_add_tile(sum)));
    for (size_t r = 0; r < R; ++r)
      __builtin_memcpy(out + r * stride, flat + r * C, sizeof(float) * C);
  } else {
    for (size_t r = 0; r < R; ++r) {
      for (size_t c = 0; c < C; ++c) out[r * stride + c] = scale * V::reduce_add(sum[r][c]);
    }
  }
}

template <class V, size_t R, size_t C, class B>
FATHOM_INLINE void score_tile(const ScoreArgsOf<float, B>& s, size_t row, size_t column) {
  typename V::F sum[R][C];
  for (size_t r = 0; r < R; ++r) {
    for (size_t c = 0; c < C; ++c) sum[r][c] = V::zero();
  }
  const float* a = s.a + row * s.a_stride;
  const B* b = s.b + column * s.b_stride;
  const size_t whole = s.inner / V::kLanes * V::kLanes;
  for (size_t i = 0; i < whole; i += V::kLanes) {
    add_products<V, R, C>(a + i, s.a_stride, b + i, s.b_stride, V::kLanes, sum);
  }
  if (whole < s.inner) {
    add_products<V, R, C>(a + whole, s.a_stride, b + whole, s.b_stride, s.inner - whole, sum);
  }
  store_tile<V, R, C>(sum, s.scale, s.out + row * s.out_stride + column, s.out_stride);
}

// Tiles whose sums stay in registers: 4 x 4 of 32 registers, 4 x 2 of 16.
template <class V, class B>
void scores(const ScoreArgsOf<float, B>& s) {
  constexpr size_t kRows = 4, kColumns = V::kLanes == 16 ? 4 : 2;
  size_t column = 0;
  for (; column + kColumns <= s.columns; column += kColumns) {
    size_t row = 0;
    for (; row + kRows <= s.rows; row += kRows) score_tile<V, kRows, kColumns>(s, row, column);
    for (; row < s.rows; ++row) score_tile<V, 1, kColumns>(s, row, column);
  }
  for (; column < s.columns; ++column) {
    for (size_t row = 0; row < s.rows; ++row) score_tile<V, 1, 1>(s, row, column);
  }
}

template <class V>
float row_max(const float* x, size_t n) {
  typename V::F most = V::set1(-__builtin_inff());
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) most = V::max(most, V::load(x + i));
  float out = V::reduce_max(most);
  for (; i < n; ++i) out = x[i] > out ? x[i] : out;
  return out;
}

template <class V>
void softmax(float* x, size_t n) {
  const auto most = V::set1(row_max<V>(x, n));
  float sum = 0;
  typename V::F sums = V::zero();
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    const auto e = kernel::exp<V>(V::sub(V::load(x + i), most));
    V::store(x + i, e);
    sums = V::add(sums, e);
  }
  if (i < n) {
    V::store_n(x + i, kernel::exp<V>(V::sub(V::load_n(x + i, n - i), most)), n - i);
    for (size_t j = i; j < n; ++j) sum += x[j];
  }
  const auto factor = V::set1(1.0f / (sum + V::reduce_add(sums)));
  for_vectors<V>(n, [&](size_t j, size_t count) {
    store_upto<V>(x + j, V::mul(load_upto<V>(x + j, count), factor), count);
  });
}

template <class V>
constexpr ScoreKernels score_of() {
  return {scores<V, float>, scores<V, BFloat>, scores<V, Half>, nullptr, softmax<V>, row_max<V>};
}

}  // namespace fathom::kernel
