#include "kernel/generic/score.h"

#include "base/half.h"
#include "kernel/avx512/simd.h"
#include "kernel/avx512bf16/tables.h"
#include "kernel/generic/static_for.h"

namespace fathom::kernel {
namespace {

constexpr size_t kShortPairs = 128;  // up to here keys are turned, so that they lie in the lanes
constexpr size_t kStrip = 2048;      // of longer rows that is multiplied at once
constexpr size_t kLanes = 16, kTileKeys = 64;

struct Strip {
  size_t first, count;  // inner values
};

FATHOM_INLINE __m512 dot_pairs(__m512 acc, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

// n <= 32 floats as 16 pairs, 0 beyond them.
FATHOM_INLINE __m512i round_pairs(const float* x, size_t n) {
  const __m512 low = load_upto<Avx512>(x, n < kLanes ? n : kLanes);
  const __m512 high = n > kLanes ? load_upto<Avx512>(x + kLanes, n - kLanes) : _mm512_setzero_ps();
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

// 16 rows of 16 pairs: rows become columns.
FATHOM_INLINE void turn(__m512i (&r)[kLanes]) {
  __m512i t[kLanes];
  for (size_t i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
  for (size_t i = 0; i < 4; ++i) {
    for (size_t j = 0; j < 2; ++j) {
      r[4 * i + 2 * j] = _mm512_unpacklo_epi64(t[4 * i + j], t[4 * i + j + 2]);
      r[4 * i + 2 * j + 1] = _mm512_unpackhi_epi64(t[4 * i + j], t[4 * i + j + 2]);
    }
  }
  // r[4 i + j] holds, in each of its four parts, column 4 part + j of rows 4 i and following.
  for (size_t j = 0; j < 4; ++j) {
    const __m512i a = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x44);
    const __m512i b = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xee);
    const __m512i c = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x44);
    const __m512i d = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xee);
    t[j] = _mm512_shuffle_i32x4(a, c, 0x88);
    t[4 + j] = _mm512_shuffle_i32x4(a, c, 0xdd);
    t[8 + j] = _mm512_shuffle_i32x4(b, d, 0x88);
    t[12 + j] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
  for (size_t i = 0; i < kLanes; ++i) r[i] = t[i];
}

// Up to 64 rows of b as [pairs][64].
FATHOM_INLINE void turn_keys(const RoundedScoreArgs& s, size_t column, size_t count,
                             uint32_t* out) {
  for (size_t lane = 0; lane < kTileKeys; lane += kLanes) {
    for (size_t i = 0; i < s.inner; i += 2 * kLanes) {
      __m512i rows[kLanes];
      const size_t n = s.inner - i < 2 * kLanes ? s.inner - i : 2 * kLanes;
      for (size_t r = 0; r < kLanes; ++r) {
        rows[r] = lane + r < count ? round_pairs(s.b + (column + lane + r) * s.b_stride + i, n)
                                   : _mm512_setzero_si512();
      }
      turn(rows);
      for (size_t r = 0; r < kLanes; ++r) {
        _mm512_storeu_si512(out + (i / 2 + r) * kTileKeys + lane, rows[r]);
      }
    }
  }
}

template <int R>
FATHOM_INLINE void short_rows(const RoundedScoreArgs& s, const uint32_t* keys, size_t row,
                              size_t column, size_t count) {
  __m512 acc[R][4];
  for (int r = 0; r < R; ++r) {
    for (int j = 0; j < 4; ++j) acc[r][j] = _mm512_setzero_ps();
  }
  const size_t pairs = (s.inner + 1) / 2;
  const uint32_t* a[R];
  for (int r = 0; r < R; ++r) {
    a[r] = reinterpret_cast<const uint32_t*>(s.a + (row + static_cast<size_t>(r)) * s.a_stride);
  }
  for (size_t c = 0; c < pairs; ++c) {
    __m512i k[4];
    for (int j = 0; j < 4; ++j) k[j] = _mm512_loadu_si512(keys + c * kTileKeys + 16 * j);
    for (int r = 0; r < R; ++r) {
      const __m512i q = _mm512_set1_epi32(static_cast<int>(a[r][c]));
      for (int j = 0; j < 4; ++j) acc[r][j] = dot_pairs(acc[r][j], k[j], q);
    }
  }
  const __m512 scale = _mm512_set1_ps(s.scale);
  for (int r = 0; r < R; ++r) {
    float* out = s.out + (row + static_cast<size_t>(r)) * s.out_stride + column;
    for (size_t j = 0; 16 * j < count; ++j) {
      const size_t n = count - 16 * j < kLanes ? count - 16 * j : kLanes;
      store_upto<Avx512>(out + 16 * j, _mm512_mul_ps(acc[r][j], scale), n);
    }
  }
}

void short_scores(const RoundedScoreArgs& s) {
  alignas(64) uint32_t keys[kShortPairs * kTileKeys];
  for (size_t column = 0; column < s.columns; column += kTileKeys) {
    const size_t count = s.columns - column < kTileKeys ? s.columns - column : kTileKeys;
    turn_keys(s, column, count, keys);
    for (size_t row = 0; row < s.rows; row += 6) {
      dispatch<6>(s.rows - row, [&]<int R>() { short_rows<R>(s, keys, row, column, count); });
    }
  }
}

// Products of n inner values, the lanes being parts of a sum; added to `out` where `add`.
template <size_t R, size_t C>
FATHOM_INLINE void long_tile(const RoundedScoreArgs& s, const uint32_t* keys, size_t row,
                             size_t column, Strip strip) {
  __m512 sum[R][C];
  for (size_t r = 0; r < R; ++r) {
    for (size_t c = 0; c < C; ++c) sum[r][c] = _mm512_setzero_ps();
  }
  const BFloat* a = s.a + row * s.a_stride + strip.first;
  for (size_t i = 0; i < strip.count; i += 2 * kLanes) {
    __m512i k[C];
    for (size_t c = 0; c < C; ++c) k[c] = _mm512_loadu_si512(keys + c * (kStrip / 2) + i / 2);
    for (size_t r = 0; r < R; ++r) {
      const __m512i q = _mm512_loadu_si512(a + r * s.a_stride + i);
      for (size_t c = 0; c < C; ++c) sum[r][c] = dot_pairs(sum[r][c], q, k[c]);
    }
  }
  float flat[R * C];
  store_tile<Avx512, R, C>(sum, s.scale, flat, C);
  float* out = s.out + row * s.out_stride + column;
  for (size_t r = 0; r < R; ++r) {
    for (size_t c = 0; c < C; ++c) {
      out[r * s.out_stride + c] =
          (strip.first > 0 ? out[r * s.out_stride + c] : 0) + flat[r * C + c];
    }
  }
}

template <size_t C>
void long_columns(const RoundedScoreArgs& s, size_t column, Strip strip) {
  alignas(64) uint32_t keys[C * kStrip / 2];
  for (size_t c = 0; c < C; ++c) {
    const float* b = s.b + (column + c) * s.b_stride + strip.first;
    for (size_t i = 0; i < strip.count; i += 2 * kLanes) {
      const size_t n = strip.count - i < 2 * kLanes ? strip.count - i : 2 * kLanes;
      _mm512_store_si512(keys + c * (kStrip / 2) + i / 2, round_pairs(b + i, n));
    }
  }
  size_t row = 0;
  for (; row + 4 <= s.rows; row += 4) long_tile<4, C>(s, keys, row, column, strip);
  for (; row < s.rows; ++row) long_tile<1, C>(s, keys, row, column, strip);
}

void long_scores(const RoundedScoreArgs& s) {
  for (size_t at = 0; at < s.inner; at += kStrip) {
    const Strip strip{at, s.inner - at < kStrip ? s.inner - at : kStrip};
    size_t column = 0;
    for (; column + 4 <= s.columns; column += 4) long_columns<4>(s, column, strip);
    for (; column < s.columns; ++column) long_columns<1>(s, column, strip);
  }
}

void rounded_scores(const RoundedScoreArgs& s) {
  if (s.inner <= 2 * kShortPairs) {
    short_scores(s);
  } else {
    long_scores(s);
  }
}

}  // namespace

void (*avx512bf16_rounded_scores())(const RoundedScoreArgs&) { return rounded_scores; }

}  // namespace fathom::kernel
