#include "kernel/avx512/simd.h"
#include "kernel/avx512/tables.h"
#include "kernel/avx512bf16/tables.h"
#include "kernel/generic/matmul_int.h"

namespace fathom::kernel {
namespace {

// 16 rows x 2 values: acc += w[0] x[0] + w[1] x[1], rounded once (VDPBF16PS).
FATHOM_INLINE __m512 dot_pairs(__m512 acc, const uint8_t* w, const BFloat* x) {
  const __m512i weights = _mm512_loadu_si512(w);
  int32_t pair;
  __builtin_memcpy(&pair, x, 4);
  const __m512i tokens = _mm512_set1_epi32(pair);
  return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(weights),
                          reinterpret_cast<__m512bh>(tokens));
}

constexpr size_t kColumns = 2048;  // as kFloatColumns: 64 rows of weights stay in L2

template <int T, int C>
void multiply_tokens(const MatmulArgs& a, size_t tile, size_t token, size_t column) {
  const size_t k = a.x->k;
  const size_t end = k - column < kColumns ? k : column + kColumns;
  const uint8_t* w[T];
  const BFloat* x[C];
  __m512 acc[T][C];
  for (int c = 0; c < C; ++c) x[c] = a.x->bf16 + (token + static_cast<size_t>(c)) * k;
  for (int t = 0; t < T; ++t) {
    const size_t at = tile + static_cast<size_t>(t);
    w[t] = reinterpret_cast<const uint8_t*>(a.weights->tile(at));
    for (int c = 0; c < C; ++c) {
      const size_t y = token + static_cast<size_t>(c);
      acc[t][c] = column > 0 ? load_y<Avx512>(a, y, at * kTileRows) : Avx512::zero();
    }
  }
  for (size_t i = column; i < end; i += 2) {
    FATHOM_UNROLL
    for (int c = 0; c < C; ++c) {
      FATHOM_UNROLL
      for (int t = 0; t < T; ++t) acc[t][c] = dot_pairs(acc[t][c], w[t] + 32 * i, x[c] + i);
    }
  }
  for (int t = 0; t < T; ++t) {
    for (int c = 0; c < C; ++c) {
      const size_t at = (tile + static_cast<size_t>(t)) * kTileRows;
      store_y<Avx512>(a, token + static_cast<size_t>(c), at, acc[t][c]);
    }
  }
}

void multiply(const MatmulArgs& a) {
  constexpr int T = 4, C = 6;
  for (size_t tile = a.tile_begin; tile < a.tile_end; tile += T) {
    dispatch<T>(a.tile_end - tile, [&]<int kTiles>() {
      for (size_t column = 0; column < a.x->k; column += kColumns) {
        for (size_t token = a.token_begin; token < a.token_end; token += C) {
          dispatch<C>(a.token_end - token, [&]<int kTokens>() {
            multiply_tokens<kTiles, kTokens>(a, tile, token, column);
          });
        }
      }
    });
  }
}

}  // namespace

MatmulFn avx512bf16_matmul(TensorType type) {
  return type == TensorType::kBF16 ? multiply : avx512_matmul(type);
}

}  // namespace fathom::kernel
