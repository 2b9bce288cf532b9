// Products with coded planes, without decoding them: the numbers that a group of codes has in
// common are taken out of the sum (KIVI, arXiv:2402.02750, does the same on GPUs). With codes c and
// factors f of lines l,
//
//   group of lanes of one line:  sum f[l] (c[l] s[l] + m[l]) = sum (f[l] s[l]) c[l] + sum f[l] m[l]
//
//   group of lines of one lane:  sum f[l] (c[l] s + m) = s sum f[l] c[l] + m sum f[l]
//
// f s is rounded to BF16, where plain planes have f and the key or value rounded.
#pragma once

#include "kernel/avx512bf16/pairs.h"

namespace fathom::kernel {

// How many lines a coded plane's factors reach to: whole vectors of 16.
FATHOM_INLINE size_t factor_lines(const CodedPlane& p) {
  return (p.layout->shape.lines + 15) / 16 * 16;
}

// Floats [rows][stride], `count` of each.
struct Rows {
  const float* first;
  size_t stride, count;
  float factor;  // each is multiplied by
};

// The sums of the lanes of R vectors.
template <int R>
FATHOM_INLINE void sum_lanes(const __m512 (&x)[R], float* out) {
  constexpr int kFours = (R + 3) / 4;
  FATHOM_UNROLL
  for (int i = 0; i < kFours; ++i) {
    __m512 v[4];
    FATHOM_UNROLL
    for (int r = 0; r < 4; ++r) v[r] = 4 * i + r < R ? x[4 * i + r] : _mm512_setzero_ps();
    const __m512 a = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
    const __m512 b = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
    const __m512d c = _mm512_castps_pd(a), d = _mm512_castps_pd(b);
    const __m512 all = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(c, d)),
                                     _mm512_castpd_ps(_mm512_unpackhi_pd(c, d)));
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    const __m128 sums = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    const int left = R - 4 * i;
    _mm_mask_storeu_ps(out + 4 * i, static_cast<__mmask8>(left >= 4 ? 15 : (1 << left) - 1), sums);
  }
}

// The first `left` of 16 lanes.
FATHOM_INLINE __mmask16 first_lanes(size_t left) {
  return static_cast<__mmask16>(left >= 16 ? 0xffff : (1u << left) - 1);
}

// For each group of lanes and each of R rows: factors times scales as BF16 pairs, and the sum of
// factors times minimums.
struct Folded {
  uint32_t* factors;  // [groups][R][lines / 2]
  float* constants;   // [groups][R]
};
// load(i): the plane's numbers from i on.
template <int R, bool kMinimums, class Load>
FATHOM_INLINE void fold_group(const CodedPlane& p, size_t group, Load load, const Rows& rows,
                              Folded to) {
  // Copies: what is stored could be these, for all that the compiler knows.
  const size_t count = rows.count, stride = rows.stride, lines = factor_lines(p);
  const size_t width = p.layout->width, scales = group * (kMinimums ? 2 : 1) * width;
  const float* first = rows.first;
  uint32_t* out = to.factors + group * R * lines / 2;
  const __m512 factor = _mm512_set1_ps(rows.factor);
  __m512 constant[R];
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) constant[r] = _mm512_setzero_ps();
  const auto numbers = [&](size_t i)
                           FATHOM_LAMBDA_INLINE { return _mm512_mul_ps(load(scales + i), factor); };
  const auto minimums = [&](size_t l) FATHOM_LAMBDA_INLINE {
    return kMinimums ? numbers(width + l) : _mm512_setzero_ps();
  };
  const auto add = [&](size_t r, __m512 f, __m512 minimum) FATHOM_LAMBDA_INLINE {
    if constexpr (kMinimums) constant[r] = _mm512_fmadd_ps(f, minimum, constant[r]);
  };
  size_t l = 0;
  for (; l + 32 <= count; l += 32) {
    const __m512 s[2] = {numbers(l), numbers(l + 16)}, m[2] = {minimums(l), minimums(l + 16)};
    FATHOM_UNROLL
    for (size_t r = 0; r < R; ++r) {
      const float* row = first + r * stride + l;
      const __m512 f[2] = {_mm512_loadu_ps(row), _mm512_loadu_ps(row + 16)};
      add(r, f[0], m[0]);
      add(r, f[1], m[1]);
      const __m512bh pairs =
          _mm512_cvtne2ps_pbh(_mm512_mul_ps(f[1], s[1]), _mm512_mul_ps(f[0], s[0]));
      _mm512_storeu_si512(out + (r * lines + l) / 2, reinterpret_cast<__m512i>(pairs));
    }
  }
  for (; l < count; l += 16) {
    const __mmask16 mask = first_lanes(count - l);
    const __m512 s = numbers(l), m = minimums(l);
    FATHOM_UNROLL
    for (size_t r = 0; r < R; ++r) {
      const __m512 f = _mm512_maskz_loadu_ps(mask, first + r * stride + l);
      add(r, f, m);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + (r * lines + l) / 2),
                          reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_mul_ps(f, s))));
    }
  }
  if constexpr (kMinimums) {
    sum_lanes<R>(constant, to.constants + group * R);
  } else {
    for (size_t r = 0; r < R; ++r) to.constants[group * R + r] = 0.0f;
  }
}
template <int R, class Load>
FATHOM_INLINE void fold_groups(const CodedPlane& p, Load load, const Rows& rows, Folded to) {
  const size_t lanes = p.layout->shape.lanes, together = p.layout->group.lanes;
  const bool minimums = p.layout->kinds == 2;
  for (size_t lane = 0, group = 0; lane < lanes; lane += together, ++group) {
    if (minimums) {
      fold_group<R, true>(p, group, load, rows, to);
    } else {
      fold_group<R, false>(p, group, load, rows, to);
    }
  }
}
template <int R>
FATHOM_APART void fold_lines(const CodedPlane& p, const Rows& rows, Folded to) {
  if (p.numbers == nullptr) {
    const uint8_t* numbers = p.codes + p.layout->code_bytes;
    const auto load = [=](size_t i)
                          FATHOM_LAMBDA_INLINE { return Avx512::load_f16(numbers + 2 * i); };
    return fold_groups<R>(p, load, rows, to);
  }
  const float* numbers = p.numbers;
  const auto load = [=](size_t i) FATHOM_LAMBDA_INLINE { return _mm512_loadu_ps(numbers + i); };
  fold_groups<R>(p, load, rows, to);
}

// The sums of BF16 pairs [begin, end) of R rows.
template <int R>
FATHOM_INLINE void sum_pairs(const uint32_t* pairs, size_t stride, size_t begin, size_t end,
                             float* out) {
  const __m512i one = _mm512_set1_epi32(0x3f803f80);
  __m512 sum[R];
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) sum[r] = _mm512_setzero_ps();
  for (size_t i = begin; i < end; i += 16) {
    const __mmask16 mask = first_lanes(end - i);
    FATHOM_UNROLL
    for (int r = 0; r < R; ++r) {
      const uint32_t* row = pairs + static_cast<size_t>(r) * stride;
      sum[r] = dot_pairs(sum[r], _mm512_maskz_loadu_epi32(mask, row + i), one);
    }
  }
  sum_lanes<R>(sum, out);
}

// Scores of keys whose groups are lines of one lane; q holds pairs [R][pairs].
template <int R, class Reader>
FATHOM_INLINE void score_by_lane(const Reader& reader, const CodedPlane& p, const uint32_t* q,
                                 size_t pairs, Ahead& ahead, float* scores) {
  const size_t group_pairs = p.layout->group.lines / 2;
  for (size_t begin = 0, group = 0; begin < pairs; begin += group_pairs, ++group) {
    const size_t end = begin + group_pairs < pairs ? begin + group_pairs : pairs;
    __m512 acc[R][4];
    FATHOM_UNROLL
    for (int r = 0; r < R; ++r) {
      FATHOM_UNROLL
      for (int j = 0; j < 4; ++j) acc[r][j] = _mm512_setzero_ps();
    }
    dot_lines<R, 4, 4>(reader, begin, end, 0, {q, pairs}, ahead, acc);
    float sums[R] = {};
    if (p.layout->kinds == 2) sum_pairs<R>(q, pairs, begin, end, sums);
    const float* scales = p.numbers + group * p.layout->kinds * p.layout->width;
    const float* minimums = scales + p.layout->width;
    FATHOM_UNROLL
    for (int r = 0; r < R; ++r) {
      FATHOM_UNROLL
      for (int j = 0; j < 4; ++j) {
        float* out = scores + static_cast<size_t>(r) * kPageTokens + 16 * j;
        __m512 total = group > 0 ? _mm512_loadu_ps(out) : _mm512_setzero_ps();
        total = _mm512_fmadd_ps(acc[r][j], _mm512_loadu_ps(scales + 16 * j), total);
        if (p.layout->kinds == 2) {
          total =
              _mm512_fmadd_ps(_mm512_set1_ps(sums[r]), _mm512_loadu_ps(minimums + 16 * j), total);
        }
        _mm512_storeu_ps(out, total);
      }
    }
  }
}

// Scores of keys whose groups are kGroupVectors * 16 lanes of one line; factors as fold_lines()
// leaves them.
template <int R, int kGroupVectors, class Reader>
FATHOM_INLINE void score_by_line(const Reader& reader, const CodedPlane& p, const uint32_t* factors,
                                 const float* constants, Ahead& ahead, float* scores) {
  const size_t stride = factor_lines(p) / 2;
  __m512 acc[R][4];
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < 4; ++j) acc[r][j] = _mm512_setzero_ps();
  }
  dot_lines<R, 4, kGroupVectors>(reader, 0, (p.layout->shape.lines + 1) / 2, 0,
                                 {factors, stride, R * stride}, ahead, acc);
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < 4; ++j) {
      const __m512 constant = _mm512_set1_ps(constants[j / kGroupVectors * R + r]);
      _mm512_storeu_ps(scores + static_cast<size_t>(r) * kPageTokens + 16 * j,
                       _mm512_add_ps(acc[r][j], constant));
    }
  }
}

// out = out * decay + the weighted sum of values, for 16 * kVectors channels that begin at a
// group's border or lie within one group; factors as fold_lines() leaves them.
template <int R, int kVectors, int kGroupVectors, class Reader>
FATHOM_INLINE void weigh_by_line(const Reader& reader, const CodedPlane& p, const uint32_t* factors,
                                 const float* constants, const float* decay, size_t token_pairs,
                                 size_t channel, Ahead& ahead, float* out) {
  const size_t stride = factor_lines(p) / 2, group = channel / p.layout->group.lanes;
  const size_t v_dim = p.layout->shape.lanes;
  __m512 acc[R][kVectors];
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      const float* o = out + static_cast<size_t>(r) * v_dim + channel + 16 * j;
      acc[r][j] = _mm512_mul_ps(_mm512_loadu_ps(o), _mm512_set1_ps(decay[r]));
    }
  }
  dot_lines<R, kVectors, kGroupVectors>(reader, 0, token_pairs, channel,
                                        {factors + group * R * stride, stride, R * stride}, ahead,
                                        acc);
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      const float constant = constants[(group + static_cast<size_t>(j / kGroupVectors)) * R + r];
      _mm512_storeu_ps(out + static_cast<size_t>(r) * v_dim + channel + 16 * j,
                       _mm512_add_ps(acc[r][j], _mm512_set1_ps(constant)));
    }
  }
}

}  // namespace fathom::kernel
