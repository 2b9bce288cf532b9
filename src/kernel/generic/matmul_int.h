// The int8 matrix product for every integer weight format, written once for every vector type V
// and decoder D (decoders.h). Contract: kernel/matmul.h.
//
// Per sub-block of 32 values and output:
//   isum = sum u a - zero * sum a                     exact integers
//   acc  = fma(w_scale * a_scale, float(isum), acc)   the one rounding order of both paths
//   acc  = fma(w_min, -(a_scale * float(sum a)), acc) where the format has minimums
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernel/generic/decoders.h"
#include "kernel/generic/static_for.h"
#include "kernel/matmul.h"

namespace fathom::kernel {

// Few enough tokens that unpacking codes anew for each small batch beats writing them out.
inline constexpr size_t kDirectTokens = 40;

// The rows of one vector: lanes [lane, lane + V::kLanes) of a packed tile.
template <class V>
struct RowVector {
  static constexpr size_t kPerTile = kTileRows / V::kLanes;
  const uint8_t* tile;
  size_t lane;
  size_t row;  // of the matrix

  static FATHOM_INLINE RowVector at(const Matrix& w, size_t index) {
    const size_t t = index / kPerTile;
    const size_t lane = index % kPerTile * V::kLanes;
    return {reinterpret_cast<const uint8_t*>(w.tile(t)), lane, t * kTileRows + lane};
  }
};

// Rows [row, row + kLanes) of y for one token; rows beyond the matrix are neither read nor written.
template <class V>
FATHOM_INLINE typename V::F load_y(const MatmulArgs& a, size_t token, size_t row) {
  const float* y = a.y + token * a.y_stride + row;
  const size_t left = a.weights->rows() - row;
  return left >= V::kLanes ? V::load(y) : V::load_n(y, left);
}
template <class V>
FATHOM_INLINE void store_y(const MatmulArgs& a, size_t token, size_t row, typename V::F value) {
  const size_t rows = a.weights->rows();
  if (row >= rows) return;
  float* y = a.y + token * a.y_stride + row;
  if (rows - row >= V::kLanes) {
    V::store(y, value);
  } else {
    V::store_n(y, value, rows - row);
  }
}

// --- few tokens: straight from the packed codes
// ---------------------------------------------------

template <int C>
struct TokenPointers {
  const int8_t* codes[C];
  const float* scales[C];
  const int32_t* sums[C];

  FATHOM_INLINE TokenPointers(const Activations& x, size_t token) {
    for (int c = 0; c < C; ++c) {
      const size_t t = token + static_cast<size_t>(c);
      codes[c] = x.codes + t * x.k;
      scales[c] = x.scales + t * (x.k / kActBlock);
      sums[c] = x.sums + t * (x.k / 16);
    }
  }
};

// Adds sub-block b of the block at p (sub-block `at` of the row) for one row vector and C tokens.
template <class V, class D, size_t phase, int C>
FATHOM_INLINE void add_sub_block(const RowVector<V>& rows, size_t block, size_t b,
                                 const TokenPointers<C>& x, typename V::F* acc) {
  using F = typename V::F;
  const uint8_t* p = rows.tile + block * D::kBlockBytes;
  const size_t lane = rows.lane, at = block * (D::kBlockValues / 32) + b;
  typename V::B w[8];
  D::template codes<phase>(p, b, lane, w);
  static_for<D::kHalves>([&]<size_t half>() FATHOM_LAMBDA_INLINE {
    constexpr size_t kGroups = 8 / D::kHalves;
    const F scale = D::template scale<half>(p, b, lane);
    FATHOM_UNROLL
    for (int c = 0; c < C; ++c) {
      const int32_t* sums = x.sums[c] + 2 * at;
      const int32_t sum = D::kHalves == 2 ? sums[half] : sums[0] + sums[1];
      using Dot = typename V::template IntDot<D::kMaxCode>;
      typename V::I isum = V::set1_i32(-D::kZero * sum), partial = V::set1_i32(0);
      static_for<kGroups>([&]<size_t j>() FATHOM_LAMBDA_INLINE {
        constexpr size_t group = half * kGroups + j;
        const auto activations = V::broadcast4(x.codes[c] + 32 * at + 4 * group);
        Dot::template add<j>(isum, partial, w[group], activations);
      });
      const float a_scale = x.scales[c][at];
      acc[c] =
          V::fma(V::mul(scale, V::set1(a_scale)), V::to_float(Dot::finish(isum, partial)), acc[c]);
      if constexpr (D::kMins == Mins::kPresent) {
        const F minimum = D::template min<half>(p, b, lane);
        acc[c] = V::fma(minimum, V::set1(-(a_scale * static_cast<float>(sum))), acc[c]);
      }
    }
  });
}

// A share of the next tile that a pass over this one asks for: a tile is read by several passes, of
// which only the first would find out that it is not there.
struct Ahead {
  const uint8_t* tile = nullptr;  // null: no more tiles
  size_t pass = 0, passes = 1;

  // Of the bytes [begin, begin + count) of the tile.
  FATHOM_INLINE void ask(size_t begin, size_t count) const {
    if (tile == nullptr) return;
    const size_t end = begin + count * (pass + 1) / passes;
    for (size_t at = (begin + count * pass / passes) / 64 * 64; at < end; at += 64) {
      __builtin_prefetch(tile + at, 0, 2);
    }
  }
};

template <class V, class D, int T, int C>
void direct_tokens(const MatmulArgs& a, size_t vector, size_t token, const Ahead& ahead) {
  const TokenPointers<C> x(*a.x, token);
  RowVector<V> rows[T];
  typename V::F acc[T][C];
  for (int t = 0; t < T; ++t) {
    rows[t] = RowVector<V>::at(*a.weights, vector + static_cast<size_t>(t));
    for (int c = 0; c < C; ++c) acc[t][c] = V::zero();
  }
  for (size_t block = 0; block < a.x->k / D::kBlockValues; ++block) {
    for (size_t b = 0; b < D::kBlockValues / 32; b += D::kPhases) {
      constexpr size_t kBytes = D::kBlockBytes * 32 * D::kPhases / D::kBlockValues;
      // A single pass over plain blocks is fast enough without.
      constexpr bool kAsks = C > 1 || D::kBlockValues == 256;
      if constexpr (kAsks) ahead.ask(block * D::kBlockBytes + b / D::kPhases * kBytes, kBytes);
      static_for<D::kPhases>([&]<size_t phase>() FATHOM_LAMBDA_INLINE {
        FATHOM_UNROLL
        for (int t = 0; t < T; ++t) {
          add_sub_block<V, D, phase, C>(rows[t], block, b + phase, x, acc[t]);
        }
      });
    }
  }
  for (int t = 0; t < T; ++t) {
    for (int c = 0; c < C; ++c) {
      store_y<V>(a, token + static_cast<size_t>(c), rows[t].row, acc[t][c]);
    }
  }
}

template <class V, class D>
void matmul_direct(const MatmulArgs& a) {
  constexpr int T = RowVector<V>::kPerTile;  // a whole tile, so that no tile is read in halves
  for (size_t tile = a.tile_begin; tile < a.tile_end; ++tile) {
    const size_t vector = tile * RowVector<V>::kPerTile;
    Ahead ahead;
    ahead.passes = (a.token_end - a.token_begin + V::kDirectBatch - 1) / V::kDirectBatch;
    if (tile + 1 < a.tile_end)
      ahead.tile = reinterpret_cast<const uint8_t*>(a.weights->tile(tile + 1));
    for (size_t token = a.token_begin; token < a.token_end; token += V::kDirectBatch) {
      dispatch<V::kDirectBatch>(a.token_end - token, [&]<int C>() {
        direct_tokens<V, D, T, C>(a, vector, token, ahead);
      });
      ++ahead.pass;
    }
  }
}

// --- many tokens: expand some tiles to bytes once, multiply with all tokens
// --------------------------

// What the product of an expansion depends on; formats that agree share its code.
template <int kMaxCode_, int kZero_, int kHalves_, Mins kMins_>
struct CodeTraits {
  static constexpr int kMaxCode = kMaxCode_, kZero = kZero_, kHalves = kHalves_;
  static constexpr Mins kMins = kMins_;
};

// Up to kExpandRows x kExpandColumns values in a thread's scratch.
template <class V>
struct Expansion {
  static constexpr size_t kVectors = kExpandRows / V::kLanes;
  static constexpr size_t kVectorBytes = 4 * V::kLanes;
  uint8_t* codes;  // [vector pair][sub-block][2][8][kVectorBytes]
  float* scales;   // [sub-block * halves][kExpandRows]
  float* mins;     // [sub-block * halves][kExpandRows]
  // The activations' part of a batch of tokens, [token][kStride]:
  static constexpr size_t kStride = kExpandColumns / 16;
  int32_t* biases;  // of each sub-block's halves: -zero * sum a
  float* a_mins;    // of each sub-block's halves: -(a_scale * sum a)
  float* a_scales;  // of each sub-block

  explicit Expansion(std::byte* scratch) {
    codes = reinterpret_cast<uint8_t*>(scratch);
    scales = reinterpret_cast<float*>(scratch + kExpandRows * kExpandColumns);
    mins = scales + kExpandRows * kStride;
    biases = reinterpret_cast<int32_t*>(mins + kExpandRows * kStride);
    a_mins = reinterpret_cast<float*>(biases + kMaxBatch * kStride);
    a_scales = a_mins + kMaxBatch * kStride;
  }
  uint8_t* code(size_t sub_block, size_t vector) const {
    constexpr size_t T = V::kExpandVectors;
    return codes +
           ((vector / T * (kExpandColumns / 32) + sub_block) * T + vector % T) * 8 * kVectorBytes;
  }
};

template <class V, class D>
void expand_vector(const Expansion<V>& e, const RowVector<V>& rows, size_t vector, size_t column,
                   size_t columns) {
  constexpr size_t kSubBlocks = D::kBlockValues / 32;
  for (size_t at = 0; at < columns / 32; at += D::kPhases) {
    const uint8_t* p = rows.tile + (column / 32 + at) / kSubBlocks * D::kBlockBytes;
    static_for<D::kPhases>([&]<size_t phase>() FATHOM_LAMBDA_INLINE {
      const size_t b = at % kSubBlocks + phase;
      typename V::B w[8];
      D::template codes<phase>(p, b, rows.lane, w);
      uint8_t* out = e.code(at + phase, vector);
      FATHOM_UNROLL
      for (size_t j = 0; j < 8; ++j) V::store_bytes(out + j * e.kVectorBytes, w[j]);
      static_for<D::kHalves>([&]<size_t half>() FATHOM_LAMBDA_INLINE {
        const size_t index = ((at + phase) * D::kHalves + half) * kExpandRows + vector * V::kLanes;
        V::store(e.scales + index, D::template scale<half>(p, b, rows.lane));
        if constexpr (D::kMins == Mins::kPresent) {
          V::store(e.mins + index, D::template min<half>(p, b, rows.lane));
        }
      });
    });
  }
}

// What multiply_sub_blocks reads of C tokens beside their codes: short loops over contiguous
// numbers, so that the compiler makes vectors of them.
template <class V, class Traits, int C>
void prepare_batch(const Expansion<V>& e, const Activations& x, size_t token, size_t column,
                   size_t columns) {
  for (size_t c = 0; c < C; ++c) {
    const size_t t = token + c;
    const int32_t* sums = x.sums + t * (x.k / 16) + column / 16;
    const float* scales = x.scales + t * (x.k / kActBlock) + column / kActBlock;
    int32_t* __restrict biases = e.biases + c * e.kStride;
    float* __restrict a_mins = e.a_mins + c * e.kStride;
    float* __restrict a_scales = e.a_scales + c * e.kStride;
    for (size_t at = 0; at < columns / 32; ++at) a_scales[at] = scales[at];
    for (size_t at = 0; at < columns / 32; ++at) {
      if constexpr (Traits::kHalves == 2) {
        for (size_t half = 0; half < 2; ++half) {
          const int32_t sum = sums[2 * at + half];
          biases[2 * at + half] = -Traits::kZero * sum;
          a_mins[2 * at + half] = -(scales[at] * static_cast<float>(sum));
        }
      } else {
        const int32_t sum = sums[2 * at] + sums[2 * at + 1];
        biases[at] = -Traits::kZero * sum;
        a_mins[at] = -(scales[at] * static_cast<float>(sum));
      }
    }
  }
}

// acc += (rows of T vectors) x (C tokens) over the expansion's sub-blocks.
template <class V, class Traits, int T, int C>
FATHOM_INLINE void multiply_sub_blocks(const Expansion<V>& e, size_t vector,
                                       const TokenPointers<C>& x, size_t first_sub_block,
                                       size_t sub_blocks, typename V::F (&acc)[T][C]) {
  using I = typename V::I;
  for (size_t at = 0; at < sub_blocks; ++at) {
    const uint8_t* w = e.code(at, vector);
    const size_t activation = first_sub_block + at;
    static_for<Traits::kHalves>([&]<size_t half>() FATHOM_LAMBDA_INLINE {
      constexpr size_t kGroups = 8 / Traits::kHalves;
      using Dot = typename V::template IntDot<Traits::kMaxCode>;
      const size_t index = at * Traits::kHalves + half;
      I dot_sum[T][C], dot_partial[T][C];
      FATHOM_UNROLL
      for (int t = 0; t < T; ++t) {
        FATHOM_UNROLL
        for (int c = 0; c < C; ++c) {
          dot_sum[t][c] = V::set1_i32(e.biases[static_cast<size_t>(c) * e.kStride + index]);
          dot_partial[t][c] = V::set1_i32(0);
        }
      }
      static_for<kGroups>([&]<size_t j>() FATHOM_LAMBDA_INLINE {
        constexpr size_t group = half * kGroups + j;
        typename V::B codes[T];
        FATHOM_UNROLL
        for (int t = 0; t < T; ++t) {
          codes[t] = V::load_bytes(w + (static_cast<size_t>(t) * 8 + group) * e.kVectorBytes);
        }
        FATHOM_UNROLL
        for (int c = 0; c < C; ++c) {
          const auto a = V::broadcast4(x.codes[c] + 32 * activation + 4 * group);
          FATHOM_UNROLL
          for (int t = 0; t < T; ++t) {
            Dot::template add<j>(dot_sum[t][c], dot_partial[t][c], codes[t], a);
          }
        }
      });
      FATHOM_UNROLL
      for (int t = 0; t < T; ++t) {
        const size_t row = index * kExpandRows + (vector + static_cast<size_t>(t)) * V::kLanes;
        const auto scale = V::load(e.scales + row);
        FATHOM_UNROLL
        for (int c = 0; c < C; ++c) {
          const auto both =
              V::mul(scale, V::set1(e.a_scales[static_cast<size_t>(c) * e.kStride + at]));
          const auto sum = V::to_float(Dot::finish(dot_sum[t][c], dot_partial[t][c]));
          acc[t][c] = V::fma(both, sum, acc[t][c]);
          if constexpr (Traits::kMins == Mins::kPresent) {
            const float a_min = e.a_mins[static_cast<size_t>(c) * e.kStride + index];
            acc[t][c] = V::fma(V::load(e.mins + row), V::set1(a_min), acc[t][c]);
          }
        }
      }
    });
  }
}

template <class V, class Traits, int C>
void multiply_batch(const MatmulArgs& a, const Expansion<V>& e, size_t tile, size_t token,
                    size_t column, size_t columns) {
  constexpr int T = V::kExpandVectors;
  prepare_batch<V, Traits, C>(e, *a.x, token, column, columns);
  const TokenPointers<C> x(*a.x, token);
  const size_t tiles = std::min(a.tile_end - tile, kExpandRows / kTileRows);
  const size_t vectors = tiles * RowVector<V>::kPerTile;
  for (size_t vector = 0; vector < vectors; vector += T) {
    typename V::F acc[T][C];
    FATHOM_UNROLL
    for (int t = 0; t < T; ++t) {
      const size_t row = tile * kTileRows + (vector + static_cast<size_t>(t)) * V::kLanes;
      for (int c = 0; c < C; ++c) {
        const bool mine = vector + static_cast<size_t>(t) < vectors && row < a.weights->rows();
        acc[t][c] =
            column > 0 && mine ? load_y<V>(a, token + static_cast<size_t>(c), row) : V::zero();
      }
    }
    multiply_sub_blocks<V, Traits, T, C>(e, vector, x, column / 32, columns / 32, acc);
    for (int t = 0; t < T; ++t) {
      const size_t v = vector + static_cast<size_t>(t);
      if (v >= vectors) break;
      for (int c = 0; c < C; ++c) {
        store_y<V>(a, token + static_cast<size_t>(c), tile * kTileRows + v * V::kLanes, acc[t][c]);
      }
    }
  }
}

template <class V, class D>
void expand(const MatmulArgs& a, const Expansion<V>& e, size_t tile, size_t column,
            size_t columns) {
  const size_t first = tile * RowVector<V>::kPerTile;
  const size_t end = a.tile_end * RowVector<V>::kPerTile;
  for (size_t v = 0; v < e.kVectors && first + v < end; ++v) {
    expand_vector<V, D>(e, RowVector<V>::at(*a.weights, first + v), v, column, columns);
  }
}

template <class V, class D>
void matmul_expanded(const MatmulArgs& a) {
  using Traits = CodeTraits<D::kMaxCode, D::kZero, D::kHalves, D::kMins>;
  const size_t k = a.x->k;
  const Expansion<V> e(a.scratch);
  for (size_t tile = a.tile_begin; tile < a.tile_end; tile += kExpandRows / kTileRows) {
    for (size_t column = 0; column < k; column += kExpandColumns) {
      const size_t columns = std::min(k - column, kExpandColumns);
      expand<V, D>(a, e, tile, column, columns);
      for (size_t token = a.token_begin; token < a.token_end; token += V::kExpandTokens) {
        dispatch<V::kExpandTokens>(a.token_end - token, [&]<int C>() {
          multiply_batch<V, Traits, C>(a, e, tile, token, column, columns);
        });
      }
    }
  }
}

template <class V, class D>
void matmul_int(const MatmulArgs& a) {
  if (a.token_end - a.token_begin < kDirectTokens) {
    matmul_direct<V, D>(a);
  } else {
    matmul_expanded<V, D>(a);
  }
}

}  // namespace fathom::kernel
