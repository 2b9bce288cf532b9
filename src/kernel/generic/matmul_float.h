// The float matrix product for F32, F16 and BF16 weights, written once for every vector type V.
// Contract: kernel/matmul.h. Per output one chain acc = fma(w[k], x[k], acc) over ascending k.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/generic/matmul_int.h"

namespace fathom::kernel {

// A format gives kStep consecutive values of kLanes rows at a time, and the tokens' values.
template <class V>
struct FloatF32 {
  static constexpr size_t kStep = 1, kStepBytes = 4 * kTileRows;
  static FATHOM_INLINE void weights(const uint8_t* p, size_t lane, typename V::F* w) {
    w[0] = V::load(reinterpret_cast<const float*>(p) + lane);
  }
  using X = float;
  static FATHOM_INLINE const X* tokens(const Activations& x) { return x.x; }
  static FATHOM_INLINE float value(X x) { return x; }
};

template <class V>
struct FloatF16 : FloatF32<V> {
  static constexpr size_t kStepBytes = 2 * kTileRows;
  static FATHOM_INLINE void weights(const uint8_t* p, size_t lane, typename V::F* w) {
    w[0] = V::load_f16(p + 2 * lane);
  }
};

template <class V>
struct FloatBF16 {
  static constexpr size_t kStep = 2, kStepBytes = 4 * kTileRows;
  static FATHOM_INLINE void weights(const uint8_t* p, size_t lane, typename V::F* w) {
    V::load_bf16_pairs(p + 4 * lane, w[0], w[1]);
  }
  using X = BFloat;
  static FATHOM_INLINE const X* tokens(const Activations& x) { return x.bf16; }
  static FATHOM_INLINE float value(X x) {
    return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16);
  }
};

// Columns after which a tile's chain is put down in y and taken up again, so that the weights of a
// pass stay in L2 while all tokens use them.
inline constexpr size_t kFloatColumns = 1024;

template <class V, class D, int T, int C>
void float_tokens(const MatmulArgs& a, size_t vector, size_t token, size_t column) {
  const size_t k = a.x->k;
  const size_t end = k - column < kFloatColumns ? k : column + kFloatColumns;
  const size_t last = a.tile_end * RowVector<V>::kPerTile;
  RowVector<V> rows[T];
  const typename D::X* x[C];
  typename V::F acc[T][C];
  for (int c = 0; c < C; ++c) x[c] = D::tokens(*a.x) + (token + static_cast<size_t>(c)) * k;
  for (int t = 0; t < T; ++t) {
    const size_t v = vector + static_cast<size_t>(t);
    rows[t] = RowVector<V>::at(*a.weights, v < last ? v : last - 1);  // repeats, never stored
    for (int c = 0; c < C; ++c) {
      const bool resume = column > 0 && rows[t].row < a.weights->rows();
      acc[t][c] = resume ? load_y<V>(a, token + static_cast<size_t>(c), rows[t].row) : V::zero();
    }
  }
  for (size_t i = column; i < end; i += D::kStep) {
    typename V::F w[T][D::kStep];
    FATHOM_UNROLL
    for (int t = 0; t < T; ++t) {
      D::weights(rows[t].tile + i / D::kStep * D::kStepBytes, rows[t].lane, w[t]);
    }
    FATHOM_UNROLL
    for (size_t s = 0; s < D::kStep; ++s) {
      FATHOM_UNROLL
      for (int c = 0; c < C; ++c) {
        const auto xi = V::set1(D::value(x[c][i + s]));
        FATHOM_UNROLL
        for (int t = 0; t < T; ++t) acc[t][c] = V::fma(w[t][s], xi, acc[t][c]);
      }
    }
  }
  for (int t = 0; t < T; ++t) {
    if (vector + static_cast<size_t>(t) >= last) break;
    for (int c = 0; c < C; ++c) {
      store_y<V>(a, token + static_cast<size_t>(c), rows[t].row, acc[t][c]);
    }
  }
}

template <class V, class D>
void matmul_float(const MatmulArgs& a) {
  constexpr int T = V::kFloatVectors, C = V::kFloatTokens;
  const size_t end = a.tile_end * RowVector<V>::kPerTile;
  for (size_t vector = a.tile_begin * RowVector<V>::kPerTile; vector < end; vector += T) {
    for (size_t column = 0; column < a.x->k; column += kFloatColumns) {
      for (size_t token = a.token_begin; token < a.token_end; token += C) {
        dispatch<C>(a.token_end - token,
                    [&]<int N>() { float_tokens<V, D, T, N>(a, vector, token, column); });
      }
    }
  }
}

}  // namespace fathom::kernel
