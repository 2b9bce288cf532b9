#include "kernel/generic/attention.h"
#include "base/half.h"
#include "kernel/avx512/simd.h"
#include "kernel/avx512/tables.h"
#include "kernel/avx512bf16/tables.h"
#include "kernel/page_code.h"

namespace fathom::kernel {
namespace {

// Scores and weighted sums over a page of BF16 pairs (VDPBF16PS): queries and probabilities are
// rounded to BF16, sums are f32.
struct PairReader {
  const uint32_t* k;  // [head_dim / 2][64] pairs of channels
  const uint32_t* v;  // [32][v_dim] pairs of tokens
  size_t v_dim;
};

FATHOM_INLINE __m512 dot_pairs(__m512 acc, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

// Two lines of floats as pairs, line by line in each lane.
FATHOM_INLINE __m512i interleave(__m512 first, __m512 second) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512bh both = _mm512_cvtne2ps_pbh(second, first);
  return _mm512_permutexvar_epi16(order, reinterpret_cast<__m512i>(both));
}

FATHOM_INLINE void decode_q8_pairs(Plane plane, const CodedPlane& p, uint32_t* out) {
  const size_t lanes = p.shape.lanes;
  for (size_t line = 0; line < p.shape.lines; line += 2) {
    const size_t second = line + 1 < p.shape.lines ? line + 1 : line;
    for (size_t i = 0; i < lanes; i += 16) {
      const __m512i both = Avx512::load_u16_i32(p.codes + (line / 2 * lanes + i) * 2);
      const __m512i low = _mm512_and_si512(both, _mm512_set1_epi32(255));
      const __m512i high = _mm512_srli_epi32(both, 8);
      __m512 s0, s1;
      if (plane == Plane::kKeys) {
        s0 = s1 = _mm512_loadu_ps(p.numbers + line / kCodeGroup * lanes + i);
      } else {
        s0 = _mm512_set1_ps(p.numbers[line * p.lane_groups + i / kCodeGroup]);
        s1 = _mm512_set1_ps(p.numbers[second * p.lane_groups + i / kCodeGroup]);
      }
      const __m512 x0 = _mm512_cvtepi32_ps(_mm512_sub_epi32(low, _mm512_set1_epi32(128)));
      const __m512 x1 = _mm512_cvtepi32_ps(_mm512_sub_epi32(high, _mm512_set1_epi32(128)));
      _mm512_storeu_si512(out + line / 2 * lanes + i,
                          interleave(_mm512_mul_ps(x0, s0), _mm512_mul_ps(x1, s1)));
    }
  }
}

// A group has at most 16 values, so it is a table: 16 entries for the first line of a pair, 16 for
// the second, looked up with VPERMW. kLanes is the number of lanes where it is known; 0: any.
template <int kBits, size_t kLanes>
FATHOM_INLINE void decode_table(const CodedPlane& p, uint32_t* out) {
  constexpr size_t kPerByte = 8 / kBits;
  constexpr int kMask = (1 << kBits) - 1;
  const size_t lanes = kLanes > 0 ? kLanes : p.shape.lanes;
  const size_t lane_groups = (lanes + kCodeGroup - 1) / kCodeGroup;
  const __m512 steps = _mm512_cvtepi32_ps(Avx512::iota(0));
  const __m512i mask = _mm512_set1_epi32(kMask | kMask << 16), upper = _mm512_set1_epi32(16 << 16);
  for (size_t line = 0; line < p.shape.lines; line += 2) {
    const size_t second = line + 1 < p.shape.lines ? line + 1 : line;
    const uint8_t* row = p.codes + line / kPerByte * lanes;
    const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(line % kPerByte) * kBits);
    FATHOM_UNROLL
    for (size_t first = 0; first < lanes; first += kCodeGroup) {
      const float* n0 = p.numbers + 2 * (line * lane_groups + first / kCodeGroup);
      const float* n1 = p.numbers + 2 * (second * lane_groups + first / kCodeGroup);
      const __m512 t0 = _mm512_fmadd_ps(steps, _mm512_set1_ps(n0[0]), _mm512_set1_ps(n0[1]));
      const __m512 t1 = _mm512_fmadd_ps(steps, _mm512_set1_ps(n1[0]), _mm512_set1_ps(n1[1]));
      const __m512i table = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(t1, t0));
      const size_t end = first + kCodeGroup < lanes ? first + kCodeGroup : lanes;
      FATHOM_UNROLL
      for (size_t i = first; i < end; i += 16) {
        __m512i x = Avx512::load_bytes_i32(row + i);
        if constexpr (kPerByte > 2) x = _mm512_srl_epi32(x, shift);
        const __m512i spread = _mm512_or_si512(x, _mm512_slli_epi32(x, 16 - kBits));
        const __m512i index = _mm512_or_si512(_mm512_and_si512(spread, mask), upper);
        _mm512_storeu_si512(out + line / 2 * lanes + i, _mm512_permutexvar_epi16(index, table));
      }
    }
  }
}

// The same where a group is kGroup lanes of a line and table(line, group) its 16 numbers.
template <int kBits, size_t kGroup, class Table>
FATHOM_INLINE void decode_lookup(const CodedPlane& p, uint32_t* out, Table table) {
  constexpr size_t kPerByte = 8 / kBits;
  constexpr int kMask = (1 << kBits) - 1;
  const size_t lanes = p.shape.lanes;
  const __m512i mask = _mm512_set1_epi32(kMask | kMask << 16), upper = _mm512_set1_epi32(16 << 16);
  for (size_t line = 0; line < p.shape.lines; line += 2) {
    const size_t second = line + 1 < p.shape.lines ? line + 1 : line;
    const uint8_t* row = p.codes + line / kPerByte * lanes;
    const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(line % kPerByte) * kBits);
    for (size_t first = 0; first < lanes; first += kGroup) {
      const __m512 t0 = table(line, first / kGroup), t1 = table(second, first / kGroup);
      const __m512i both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(t1, t0));
      const size_t end = first + kGroup < lanes ? first + kGroup : lanes;
      for (size_t i = first; i < end; i += 16) {
        const __m512i x = _mm512_srl_epi32(Avx512::load_bytes_i32(row + i), shift);
        const __m512i spread = _mm512_or_si512(x, _mm512_slli_epi32(x, 16 - kBits));
        const __m512i index = _mm512_or_si512(_mm512_and_si512(spread, mask), upper);
        _mm512_storeu_si512(out + line / 2 * lanes + i, _mm512_permutexvar_epi16(index, both));
      }
    }
  }
}

// Keys whose numbers lie in the lanes: number(code, line, lane) makes a code a number.
template <int kBits, class Number>
FATHOM_INLINE void decode_lanes(const CodedPlane& p, uint32_t* out, Number number) {
  constexpr size_t kPerByte = 8 / kBits;
  const __m512i mask = _mm512_set1_epi32((1 << kBits) - 1);
  const size_t lanes = p.shape.lanes;
  for (size_t line = 0; line < p.shape.lines; line += 2) {
    const size_t second = line + 1 < p.shape.lines ? line + 1 : line;
    const uint8_t* row = p.codes + line / kPerByte * lanes;
    const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(line % kPerByte) * kBits);
    for (size_t i = 0; i < lanes; i += 16) {
      const __m512i x = _mm512_srl_epi32(Avx512::load_bytes_i32(row + i), shift);
      const __m512i low = _mm512_and_si512(x, mask);
      const __m512i high = _mm512_and_si512(_mm512_srli_epi32(x, kBits), mask);
      _mm512_storeu_si512(out + line / 2 * lanes + i,
                          interleave(number(_mm512_cvtepi32_ps(low), line, i),
                                     number(_mm512_cvtepi32_ps(high), second, i)));
    }
  }
}

template <int kBits>
FATHOM_INLINE void decode_token_pairs(Plane plane, const CodedPlane& p, uint32_t* out) {
  if (plane == Plane::kKeys) {
    decode_lanes<kBits>(p, out, [&](__m512 code, size_t line, size_t i) {
      const float* n = p.numbers + line / 128 * 2 * p.shape.lanes + i;
      return _mm512_fmadd_ps(code, _mm512_loadu_ps(n), _mm512_loadu_ps(n + p.shape.lanes));
    });
  } else {
    const __m512 steps = _mm512_cvtepi32_ps(Avx512::iota(0));
    decode_lookup<kBits, 128>(p, out, [&](size_t line, size_t group) {
      const float* n = p.numbers + 2 * (line * p.lane_groups + group);
      return _mm512_fmadd_ps(steps, _mm512_set1_ps(n[0]), _mm512_set1_ps(n[1]));
    });
  }
}

FATHOM_INLINE void decode_level_pairs(const float* levels, const CodedPlane& p, uint32_t* out) {
  const __m512 all = _mm512_loadu_ps(levels);
  decode_lookup<4, 64>(p, out, [&](size_t line, size_t group) {
    return _mm512_mul_ps(all, _mm512_set1_ps(p.numbers[line * p.lane_groups + group]));
  });
}

FATHOM_INLINE void decode_bfp_pairs(Plane plane, const CodedPlane& p, uint32_t* out) {
  const __m512 middle = _mm512_set1_ps(8.0f);
  if (plane == Plane::kKeys) {
    decode_lanes<4>(p, out, [&](__m512 code, size_t line, size_t i) {
      const float* step = p.numbers + line / kCodeGroup * p.shape.lanes + i;
      return _mm512_mul_ps(_mm512_sub_ps(code, middle), _mm512_loadu_ps(step));
    });
  } else {
    const __m512 steps = _mm512_sub_ps(_mm512_cvtepi32_ps(Avx512::iota(0)), middle);
    decode_lookup<4, kCodeGroup>(p, out, [&](size_t line, size_t group) {
      return _mm512_mul_ps(steps, _mm512_set1_ps(p.numbers[line * p.lane_groups + group]));
    });
  }
}

// A plane as BF16 pairs: as it lies, or decoded into `scratch`.
FATHOM_INLINE const uint32_t* pairs_of(const AttendArgs& a, const PageView& page, Plane plane,
                                       const AttendScratch& s) {
  const bool keys = plane == Plane::kKeys;
  const KvFormat format = keys ? page.k_format : page.v_format;
  const void* data = keys ? page.k : page.v;
  if (!is_coded(format)) return static_cast<const uint32_t*>(data);
  const auto coded = CodedPlane::open<Avx512>(format, plane, a.head_dim, data, s.numbers);
  uint32_t* out = reinterpret_cast<uint32_t*>(keys ? s.k : s.v);
  if (format == KvFormat::kQ8) decode_q8_pairs(plane, coded, out);
  const bool square = coded.shape.lanes == kPageTokens;  // keys always, values of heads of 64
  if (format == KvFormat::kQ4 && square) decode_table<4, kPageTokens>(coded, out);
  if (format == KvFormat::kQ4 && !square) decode_table<4, 0>(coded, out);
  if (format == KvFormat::kQ2 && square) decode_table<2, kPageTokens>(coded, out);
  if (format == KvFormat::kQ2 && !square) decode_table<2, 0>(coded, out);
  if (format == KvFormat::kT4) decode_token_pairs<4>(plane, coded, out);
  if (format == KvFormat::kT2) decode_token_pairs<2>(plane, coded, out);
  if (format == KvFormat::kNf4) decode_level_pairs(kNf4Levels, coded, out);
  if (format == KvFormat::kFp4) decode_level_pairs(kFp4Levels, coded, out);
  if (format == KvFormat::kBfp4) decode_bfp_pairs(plane, coded, out);
  return out;
}

template <int R>
FATHOM_INLINE void score_rows(const PairReader& page, const uint32_t* q, size_t pairs,
                              float* scores) {
  __m512 acc[R][4];
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < 4; ++j) acc[r][j] = _mm512_setzero_ps();
  }
  for (size_t c = 0; c < pairs; ++c) {
    __m512i k[4];
    FATHOM_UNROLL
    for (int j = 0; j < 4; ++j) k[j] = _mm512_loadu_si512(page.k + c * kPageTokens + 16 * j);
    FATHOM_UNROLL
    for (int r = 0; r < R; ++r) {
      const __m512i qc = _mm512_set1_epi32(static_cast<int>(q[static_cast<size_t>(r) * pairs + c]));
      FATHOM_UNROLL
      for (int j = 0; j < 4; ++j) acc[r][j] = dot_pairs(acc[r][j], k[j], qc);
    }
  }
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < 4; ++j) {
      _mm512_storeu_ps(scores + static_cast<size_t>(r) * kPageTokens + 16 * j, acc[r][j]);
    }
  }
}

// p holds pairs of probabilities, [R][32].
template <int R, int kVectors>
FATHOM_INLINE void weigh_columns(const PairReader& page, const uint32_t* p, const float* decay,
                                 size_t pairs, size_t channel, float* out) {
  __m512 acc[R][kVectors];
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      const float* o = out + static_cast<size_t>(r) * page.v_dim + channel + 16 * j;
      acc[r][j] = _mm512_mul_ps(_mm512_loadu_ps(o), _mm512_set1_ps(decay[r]));
    }
  }
  for (size_t t = 0; t < pairs; ++t) {
    __m512i v[kVectors];
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      v[j] = _mm512_loadu_si512(page.v + t * page.v_dim + channel + 16 * j);
    }
    FATHOM_UNROLL
    for (int r = 0; r < R; ++r) {
      const __m512i weight =
          _mm512_set1_epi32(static_cast<int>(p[static_cast<size_t>(r) * (kPageTokens / 2) + t]));
      FATHOM_UNROLL
      for (int j = 0; j < kVectors; ++j) acc[r][j] = dot_pairs(acc[r][j], v[j], weight);
    }
  }
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      _mm512_storeu_ps(out + static_cast<size_t>(r) * page.v_dim + channel + 16 * j, acc[r][j]);
    }
  }
}

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

// soften() for the common row: the whole page is seen, no soft cap, and the scores do not rise so
// far above the reference that it has to move (kMaxLag). False where that is not so.
FATHOM_INLINE bool soften_pairs(const AttendArgs& a, size_t row, const float* scores, uint32_t* p,
                                __m512& sum) {
  const float reference = a.state.max[row];
  __m512 s[4];
  for (int j = 0; j < 4; ++j) s[j] = _mm512_loadu_ps(scores + 16 * j);
  const __m512 top = _mm512_max_ps(_mm512_max_ps(s[0], s[1]), _mm512_max_ps(s[2], s[3]));
  const __m512 limit = _mm512_set1_ps(reference + kMaxLag);
  if (!(reference > -__builtin_inff()) || _mm512_cmp_ps_mask(top, limit, _CMP_GT_OQ)) return false;
  const __m512 base = _mm512_set1_ps(reference);
  for (int j = 0; j < 4; ++j) s[j] = exp2_for_bf16(_mm512_sub_ps(s[j], base));
  store_pairs(p, s[0], s[1]);
  store_pairs(p + 16, s[2], s[3]);
  sum = _mm512_add_ps(sum, _mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])));
  return true;
}

// Probabilities of one row as pairs of BF16; the factor for what was summed before.
FATHOM_INLINE float weights_of_row(const AttendArgs& a, const PageView& page, size_t row,
                                   float* scores, float* sums, uint32_t* p) {
  __m512 sum = _mm512_loadu_ps(sums);
  float decay = 1.0f;
  const bool all = visibility(a, page, a.positions[row]) == Visibility::kAll;
  if (!(all && a.soft_cap == 0 && soften_pairs(a, row, scores, p, sum))) {
    decay = soften<Avx512>(a, page, row, scores, sum);
    for (size_t j = 0; j < 2; ++j) {
      store_pairs(p + 16 * j, _mm512_loadu_ps(scores + 32 * j),
                  _mm512_loadu_ps(scores + 32 * j + 16));
    }
  }
  _mm512_storeu_ps(sums, sum);
  return decay;
}

template <int R>
FATHOM_INLINE void attend_rows(const AttendArgs& a, const PageView& page, const PairReader& reader,
                               const AttendScratch& s, size_t row) {
  const size_t pairs = (a.head_dim + 1) / 2;
  float* scores = s.scores + row * kPageTokens;
  if (!any_visible<R>(a, page, row)) return;
  const uint32_t* q = reinterpret_cast<const uint32_t*>(s.q) + row * pairs;
  score_rows<R>(reader, q, pairs, scores);
  float decay[R];
  alignas(64) uint32_t p[R * kPageTokens / 2];
  for (int r = 0; r < R; ++r) {
    const size_t at = static_cast<size_t>(r);
    decay[r] =
        weights_of_row(a, page, row + at, scores + at * kPageTokens,
                       s.sums + (row + at) * AttendScratch::kSumLanes, p + at * (kPageTokens / 2));
  }
  float* out = a.state.out + row * reader.v_dim;
  const size_t token_pairs = (static_cast<size_t>(page.tokens) + 1) / 2;
  size_t channel = 0;
  for (; channel + 64 <= reader.v_dim; channel += 64) {
    weigh_columns<R, 4>(reader, p, decay, token_pairs, channel, out);
  }
  for (; channel < reader.v_dim; channel += 16) {
    weigh_columns<R, 1>(reader, p, decay, token_pairs, channel, out);
  }
}

// Rows of scaled queries as pairs of channels; an odd last channel is paired with 0.
void pair_queries(const AttendArgs& a, uint32_t* q) {
  const float factor = a.soft_cap > 0 ? a.scale : a.scale * kLog2E;
  const __m512 f = _mm512_set1_ps(factor);
  const size_t pairs = (a.head_dim + 1) / 2;
  for (size_t r = 0; r < a.rows; ++r) {
    const float* row = a.q + r * a.head_dim;
    size_t c = 0;
    for (; 2 * c + 16 <= a.head_dim; c += 8) {
      const __m256bh half = _mm512_cvtneps_pbh(_mm512_mul_ps(_mm512_loadu_ps(row + 2 * c), f));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(q + r * pairs + c),
                          reinterpret_cast<__m256i>(half));
    }
    for (; c < pairs; ++c) {
      const float first = row[2 * c] * factor;
      const float second = 2 * c + 1 < a.head_dim ? row[2 * c + 1] * factor : 0.0f;
      q[r * pairs + c] = to_bfloat(first).bits | uint32_t{to_bfloat(second).bits} << 16;
    }
  }
}

void attend_bf16(const AttendArgs& a) {
  const AttendScratch s(a.scratch, a.head_dim);
  pair_queries(a, reinterpret_cast<uint32_t*>(s.q));
  spread_sums<Avx512>(a, s);
  for (size_t i = 0; i < a.page_count; ++i) {
    const PageView& page = a.pages[i];
    const size_t blocks = (a.rows + 5) / 6;
    if (blocks == 1) prefetch_page(a, i + 1, {0, 1});
    const PairReader reader{pairs_of(a, page, Plane::kKeys, s),
                            pairs_of(a, page, Plane::kValues, s), padded_head_dim(a.head_dim)};
    for (size_t row = 0; row < a.rows; row += 6) {
      if (blocks > 1) prefetch_page(a, i + 1, {row / 6, blocks});
      dispatch<6>(a.rows - row, [&]<int R>() { attend_rows<R>(a, page, reader, s, row); });
    }
  }
  join_sums<Avx512>(a, s);
}

}  // namespace

AttendFn avx512bf16_attend(KvFormat format) {
  return format == KvFormat::kBF16 ? attend_bf16 : avx512_attend(format);
}

}  // namespace fathom::kernel
