// From scores to probabilities, as pairs of BF16 or as floats.
#pragma once

#include "kernel/avx512bf16/planes.h"

namespace fathom::kernel {

// 2^x for x <= kMaxLag, as good as a BF16 needs it and better: 2^floor(x) times a polynomial of
// degree 4 through 2^r on [0, 1), relative error 4e-6; 2^-126 instead of anything smaller.
FATHOM_INLINE __m512 exp2_for_bf16(__m512 x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(-126.0f));
  const __m512 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 p = _mm512_set1_ps(1.3670309e-2f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.1744998e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.4160436e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.9297292e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0000035f));
  return _mm512_scalef_ps(p, x);
}

FATHOM_INLINE void store_pairs(uint32_t* out, __m512 first, __m512 second) {
  const __m512bh both = _mm512_cvtne2ps_pbh(second, first);
  _mm512_store_si512(out, reinterpret_cast<__m512i>(both));
}

// Probabilities of a page's tokens under a reference, to `p` as pairs of BF16 or, where it is null,
// to `scores`; added to the sum.
FATHOM_INLINE void put_weights(__m512 (&s)[4], float reference, float* scores, uint32_t* p,
                               __m512& sum) {
  const __m512 base = _mm512_set1_ps(reference);
  FATHOM_UNROLL
  for (int j = 0; j < 4; ++j) s[j] = exp2_for_bf16(_mm512_sub_ps(s[j], base));
  if (p != nullptr) {
    store_pairs(p, s[0], s[1]);
    store_pairs(p + 16, s[2], s[3]);
  } else {
    FATHOM_UNROLL
    for (int j = 0; j < 4; ++j) _mm512_storeu_ps(scores + 16 * j, s[j]);
  }
  sum = _mm512_add_ps(sum, _mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])));
}

// Whether scores rise so far above the reference that it has to move (kMaxLag), or it is not yet.
FATHOM_INLINE bool moves(const __m512 (&s)[4], float reference) {
  const __m512 top = _mm512_max_ps(_mm512_max_ps(s[0], s[1]), _mm512_max_ps(s[2], s[3]));
  return _mm512_cmp_ps_mask(top, _mm512_set1_ps(reference + kMaxLag), _CMP_NLE_UQ) != 0;
}

// soften() for the common row: the whole page is seen, no soft cap, and the reference stays. False
// where that is not so.
FATHOM_INLINE bool soften_pairs(const AttendArgs& a, size_t row, float* scores, uint32_t* p,
                                __m512& sum) {
  const float reference = a.state.max[row];
  __m512 s[4];
  for (int j = 0; j < 4; ++j) s[j] = _mm512_loadu_ps(scores + 16 * j);
  if (moves(s, reference)) return false;
  put_weights(s, reference, scores, p, sum);
  return true;
}

// The same for a block of rows whose scores are still in registers.
template <int R>
FATHOM_INLINE bool soften_block(const AttendArgs& a, const ReadPage& page, const AttendScratch& s,
                                size_t row, __m512 (&acc)[R][4], uint32_t* p) {
  if (a.soft_cap != 0) return false;
  bool slow = false;
  if (!page.whole) {
    for (int r = 0; r < R; ++r) {
      const size_t at = row + static_cast<size_t>(r);
      slow |= visibility(a, *page.view, a.positions[at]) != Visibility::kAll;
    }
  }
  if (slow) return false;
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) slow |= moves(acc[r], a.state.max[row + static_cast<size_t>(r)]);
  if (slow) return false;
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    const size_t at = row + static_cast<size_t>(r);
    float* sums = s.sums + at * AttendScratch::kSumLanes;
    __m512 sum = _mm512_loadu_ps(sums);
    put_weights(acc[r], a.state.max[at], s.scores + at * kPageTokens,
                p ? p + static_cast<size_t>(r) * (kPageTokens / 2) : nullptr, sum);
    _mm512_storeu_ps(sums, sum);
  }
  return true;
}

// Probabilities of one row, as pairs of BF16 or, where p is null, in place; the factor for what was
// summed before.
FATHOM_INLINE float weights_of_row(const AttendArgs& a, const PageView& page, size_t row,
                                   float* scores, float* sums, uint32_t* p) {
  __m512 sum = _mm512_loadu_ps(sums);
  float decay = 1.0f;
  const bool all = visibility(a, page, a.positions[row]) == Visibility::kAll;
  if (!(all && a.soft_cap == 0 && soften_pairs(a, row, scores, p, sum))) {
    decay = soften<Avx512>(a, page, row, scores, sum);
    for (size_t j = 0; p != nullptr && j < 2; ++j) {
      store_pairs(p + 16 * j, _mm512_loadu_ps(scores + 32 * j),
                  _mm512_loadu_ps(scores + 32 * j + 16));
    }
  }
  _mm512_storeu_ps(sums, sum);
  return decay;
}

}  // namespace fathom::kernel
