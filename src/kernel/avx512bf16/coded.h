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
  return (p.layout.shape.lines + 15) / 16 * 16;
}

// Floats [rows][stride], `count` of each.
struct Rows {
  const float* first;
  size_t stride, count;
  float factor;  // each is multiplied by
};

// For each group of lanes and each of R rows: factors times scales as BF16 pairs, to `out`
// [groups][R][lines / 2], and the sum of factors times minimums, to `constants` [groups][R].
template <int R>
FATHOM_INLINE void fold_lines(const CodedPlane& p, const Rows& rows, uint32_t* out,
                              float* constants) {
  const size_t lines = factor_lines(p);
  const size_t groups = (p.layout.shape.lanes + p.layout.group.lanes - 1) / p.layout.group.lanes;
  const __m512 factor = _mm512_set1_ps(rows.factor);
  for (size_t g = 0; g < groups; ++g) {
    const float* scales = p.numbers + g * p.layout.kinds * p.layout.width;
    for (size_t r = 0; r < R; ++r) {
      __m512 constant = _mm512_setzero_ps();
      for (size_t l = 0; l < lines; l += 16) {
        const size_t left = rows.count - l;
        const __mmask16 mask = static_cast<__mmask16>(left >= 16 ? 0xffff : (1u << left) - 1);
        const __m512 f =
            _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, rows.first + r * rows.stride + l), factor);
        const __m256bh pairs = _mm512_cvtneps_pbh(_mm512_mul_ps(f, _mm512_loadu_ps(scales + l)));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + ((g * R + r) * lines + l) / 2),
                            reinterpret_cast<__m256i>(pairs));
        if (p.layout.kinds == 2) {
          constant = _mm512_fmadd_ps(f, _mm512_loadu_ps(scales + p.layout.width + l), constant);
        }
      }
      constants[g * R + r] = p.layout.kinds == 2 ? _mm512_reduce_add_ps(constant) : 0.0f;
    }
  }
}

// The sum of BF16 pairs [begin, end).
FATHOM_INLINE float sum_pairs(const uint32_t* pairs, size_t begin, size_t end) {
  const __m512i one = _mm512_set1_epi32(0x3f803f80);
  __m512 sum = _mm512_setzero_ps();
  for (size_t i = begin; i < end; i += 16) {
    const size_t left = end - i;
    const __mmask16 mask = static_cast<__mmask16>(left >= 16 ? 0xffff : (1u << left) - 1);
    sum = dot_pairs(sum, _mm512_maskz_loadu_epi32(mask, pairs + i), one);
  }
  return _mm512_reduce_add_ps(sum);
}

// Scores of keys whose groups are lines of one lane; q holds pairs [R][pairs].
template <int R, class Reader>
FATHOM_INLINE void score_by_lane(const Reader& reader, const CodedPlane& p, const uint32_t* q,
                                 size_t pairs, Ahead& ahead, float* scores) {
  const size_t group_pairs = p.layout.group.lines / 2;
  for (size_t lane = 0; lane < kPageTokens; lane += 32) {
    __m512 total[R][2];
    for (int r = 0; r < R; ++r) total[r][0] = total[r][1] = _mm512_setzero_ps();
    for (size_t begin = 0, group = 0; begin < pairs; begin += group_pairs, ++group) {
      const size_t end = begin + group_pairs < pairs ? begin + group_pairs : pairs;
      __m512 acc[R][2];
      for (int r = 0; r < R; ++r) acc[r][0] = acc[r][1] = _mm512_setzero_ps();
      dot_lines<R, 2, 2>(reader, begin, end, lane, {q, pairs}, ahead, acc);
      const float* scales = p.numbers + group * p.layout.kinds * p.layout.width + lane;
      const float* minimums = scales + p.layout.width;
      FATHOM_UNROLL
      for (int r = 0; r < R; ++r) {
        for (int j = 0; j < 2; ++j) {
          total[r][j] = _mm512_fmadd_ps(acc[r][j], _mm512_loadu_ps(scales + 16 * j), total[r][j]);
        }
        if (p.layout.kinds == 1) continue;
        const __m512 sum =
            _mm512_set1_ps(sum_pairs(q + static_cast<size_t>(r) * pairs, begin, end));
        for (int j = 0; j < 2; ++j) {
          total[r][j] = _mm512_fmadd_ps(sum, _mm512_loadu_ps(minimums + 16 * j), total[r][j]);
        }
      }
    }
    for (int r = 0; r < R; ++r) {
      float* out = scores + static_cast<size_t>(r) * kPageTokens + lane;
      _mm512_storeu_ps(out, total[r][0]);
      _mm512_storeu_ps(out + 16, total[r][1]);
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
    for (int j = 0; j < 4; ++j) acc[r][j] = _mm512_set1_ps(constants[j / kGroupVectors * R + r]);
  }
  dot_lines<R, 4, kGroupVectors>(reader, 0, (p.layout.shape.lines + 1) / 2, 0,
                                 {factors, stride, R * stride}, ahead, acc);
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < 4; ++j) {
      _mm512_storeu_ps(scores + static_cast<size_t>(r) * kPageTokens + 16 * j, acc[r][j]);
    }
  }
}

// out = out * decay + the weighted sum of values, for 16 * kVectors channels that begin at a
// group's border or lie within one group; factors as fold_lines() leaves them.
template <int R, int kVectors, int kGroupVectors, class Reader>
FATHOM_INLINE void weigh_by_line(const Reader& reader, const CodedPlane& p, const uint32_t* factors,
                                 const float* constants, const float* decay, size_t token_pairs,
                                 size_t channel, Ahead& ahead, float* out) {
  const size_t stride = factor_lines(p) / 2, group = channel / p.layout.group.lanes;
  const size_t v_dim = p.layout.shape.lanes;
  __m512 acc[R][kVectors];
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      const float* o = out + static_cast<size_t>(r) * v_dim + channel + 16 * j;
      const float constant = constants[(group + static_cast<size_t>(j / kGroupVectors)) * R + r];
      acc[r][j] =
          _mm512_fmadd_ps(_mm512_loadu_ps(o), _mm512_set1_ps(decay[r]), _mm512_set1_ps(constant));
    }
  }
  dot_lines<R, kVectors, kGroupVectors>(reader, 0, token_pairs, channel,
                                        {factors + group * R * stride, stride, R * stride}, ahead,
                                        acc);
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      _mm512_storeu_ps(out + static_cast<size_t>(r) * v_dim + channel + 16 * j, acc[r][j]);
    }
  }
}

}  // namespace fathom::kernel
