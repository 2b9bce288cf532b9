#include "kernel/generic/attention.h"

#include <algorithm>

#include "base/half.h"
#include "kernel/avx512/simd.h"
#include "kernel/avx512/tables.h"
#include "kernel/avx512bf16/coded.h"
#include "kernel/avx512bf16/tables.h"

namespace fathom::kernel {
namespace {

// Scores and weighted sums over pages of BF16 pairs (VDPBF16PS): queries and probabilities are
// rounded to BF16, sums are f32.

constexpr size_t kRows = 6;  // that share a pass over a page

// One plane of a page: as it lies, or coded, and then perhaps copied to pairs first. A copy pays
// once several blocks of rows share the page; its numbers are those that reading codes gives.
struct ReadPlane {
  KvFormat format;
  const void* data;
  CodedPlane coded;
  const uint32_t* copy;
};

constexpr float kUnsignedLevels[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
constexpr float kSignedLevels[16] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
FATHOM_INLINE const float* levels_of(KvFormat format) {
  switch (format) {
    case KvFormat::kNf4:
      return kNf4Levels;
    case KvFormat::kFp4:
      return kFp4Levels;
    case KvFormat::kBfp4:
      return kSignedLevels;
    default:
      return kUnsignedLevels;
  }
}

template <class Fn>
FATHOM_INLINE void with_codes(const ReadPlane& p, size_t lanes, Fn fn) {
  const uint8_t* codes = static_cast<const uint8_t*>(p.data);
  switch (code_bits(p.format)) {
    case 8:
      return fn(BytePairs(codes, lanes));
    case 4:
      return fn(TablePairs<4>(codes, lanes, levels_of(p.format)));
    default:
      return fn(TablePairs<2>(codes, lanes, levels_of(p.format)));
  }
}
template <class Fn>
FATHOM_INLINE void with_reader(const ReadPlane& p, size_t lanes, Fn fn) {
  if (!is_coded(p.format)) return fn(PlainPairs{static_cast<const uint32_t*>(p.data), lanes});
  if (p.copy) return fn(PlainPairs{p.copy, lanes});
  with_codes(p, lanes, fn);
}

FATHOM_INLINE void copy_pairs(const ReadPlane& p, uint32_t* out) {
  const PlaneShape shape = p.coded.layout.shape;
  with_codes(p, shape.lanes, [&](const auto& reader) FATHOM_LAMBDA_INLINE {
    for (size_t pair = 0; pair < (shape.lines + 1) / 2; ++pair) {
      size_t lane = 0;
      for (; lane + 64 <= shape.lanes; lane += 64) {
        __m512i x[4];
        reader.load(pair, lane, x);
        for (size_t j = 0; j < 4; ++j) {
          _mm512_storeu_si512(out + pair * shape.lanes + lane + 16 * j, x[j]);
        }
      }
      for (; lane < shape.lanes; lane += 16) {
        __m512i x[1];
        reader.load(pair, lane, x);
        _mm512_storeu_si512(out + pair * shape.lanes + lane, x[0]);
      }
    }
  });
}

// `copy`: where to, or null.
FATHOM_INLINE ReadPlane open_plane(const AttendArgs& a, const PageView& page, Plane plane,
                                   float* numbers, float* copy) {
  const bool keys = plane == Plane::kKeys;
  const KvFormat format = keys ? page.k_format : page.v_format;
  const void* data = keys ? page.k : page.v;
  const size_t dim = keys ? a.key_channels() : a.head_dim;
  ReadPlane out{format, data, {CodeLayout(format, plane, dim), nullptr, nullptr}, nullptr};
  if (!is_coded(format)) return out;
  out.coded = CodedPlane::open<Avx512>(format, plane, dim, data, numbers);
  if (copy != nullptr) {
    uint32_t* pairs = reinterpret_cast<uint32_t*>(copy);
    copy_pairs(out, pairs);
    out.copy = pairs;
  }
  return out;
}

template <int R>
FATHOM_INLINE void store_scores(const __m512 (&acc)[R][4], float* scores) {
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
FATHOM_INLINE void weigh_columns(const PlainPairs& page, const uint32_t* p, const float* decay,
                                 size_t pairs, size_t channel, Ahead& ahead, float* out) {
  __m512 acc[R][kVectors];
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      const float* o = out + static_cast<size_t>(r) * page.lanes + channel + 16 * j;
      acc[r][j] = _mm512_mul_ps(_mm512_loadu_ps(o), _mm512_set1_ps(decay[r]));
    }
  }
  dot_lines<R, kVectors, kVectors>(page, 0, pairs, channel, {p, kPageTokens / 2}, ahead, acc);
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      _mm512_storeu_ps(out + static_cast<size_t>(r) * page.lanes + channel + 16 * j, acc[r][j]);
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
FATHOM_INLINE bool soften_block(const AttendArgs& a, const PageView& page, const AttendScratch& s,
                                size_t row, __m512 (&acc)[R][4], uint32_t* p) {
  if (a.soft_cap != 0) return false;
  bool slow = false;
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    slow |= visibility(a, page, a.positions[row + static_cast<size_t>(r)]) != Visibility::kAll;
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

// Where factors times a plane's numbers go.
struct Fold {
  uint32_t* factors;
  float* constants;

  FATHOM_INLINE Fold(const AttendArgs& a, const AttendScratch& s) {
    float* memory = s.more + attend_plane_numbers(a.head_dim);
    factors = reinterpret_cast<uint32_t*>(memory);
    constants = memory + kRows * (padded_head_dim(a.head_dim) + kPageTokens);
  }
};

FATHOM_INLINE float query_factor(const AttendArgs& a) {
  return a.soft_cap > 0 ? a.scale : a.scale * kLog2E;
}

// Scores of coded keys.
template <int R>
FATHOM_INLINE void score_page(const AttendArgs& a, const ReadPlane& keys, const AttendScratch& s,
                              size_t row, Ahead& ahead) {
  const size_t pairs = (a.key_channels() + 1) / 2;
  const uint32_t* q = reinterpret_cast<const uint32_t*>(s.q) + row * pairs;
  float* scores = s.scores + row * kPageTokens;
  const CodedPlane& p = keys.coded;
  if (p.layout.by_lane()) {
    return with_reader(keys, kPageTokens, [&](const auto& reader) FATHOM_LAMBDA_INLINE {
      score_by_lane<R>(reader, p, q, pairs, ahead, scores);
    });
  }
  const Fold fold(a, s);
  const size_t d = a.key_channels();
  const Rows rows{a.q + row * d, d, d, query_factor(a)};
  fold_lines<R>(p, rows, fold.factors, fold.constants);
  with_reader(keys, kPageTokens, [&](const auto& reader) FATHOM_LAMBDA_INLINE {
    if (p.layout.group.lanes == 32) {
      score_by_line<R, 2>(reader, p, fold.factors, fold.constants, ahead, scores);
    } else {
      score_by_line<R, 4>(reader, p, fold.factors, fold.constants, ahead, scores);
    }
  });
}

// p: pairs of probabilities for plain values; coded ones take those in s.scores.
template <int R>
FATHOM_INLINE void weigh_page(const AttendArgs& a, const PageView& page, const ReadPlane& values,
                              const AttendScratch& s, size_t row, const uint32_t* p,
                              const float* decay, Ahead& ahead) {
  const size_t v_dim = padded_head_dim(a.head_dim);
  const size_t pairs = (static_cast<size_t>(page.tokens) + 1) / 2;
  float* out = a.state.out + row * v_dim;
  size_t channel = 0;
  if (!is_coded(values.format)) {
    const PlainPairs reader{static_cast<const uint32_t*>(values.data), v_dim};
    for (; channel + 64 <= v_dim; channel += 64) {
      weigh_columns<R, 4>(reader, p, decay, pairs, channel, ahead, out);
    }
    for (; channel < v_dim; channel += 16) {
      weigh_columns<R, 1>(reader, p, decay, pairs, channel, ahead, out);
    }
    return;
  }
  const Fold fold(a, s);
  const CodedPlane& plane = values.coded;
  const Rows rows{s.scores + row * kPageTokens, kPageTokens, kPageTokens, 1.0f};
  fold_lines<R>(plane, rows, fold.factors, fold.constants);
  with_reader(values, v_dim, [&](const auto& reader) FATHOM_LAMBDA_INLINE {
    for (; channel + 64 <= v_dim; channel += 64) {
      if (plane.layout.group.lanes == 32) {
        weigh_by_line<R, 4, 2>(reader, plane, fold.factors, fold.constants, decay, pairs, channel,
                               ahead, out);
      } else {
        weigh_by_line<R, 4, 4>(reader, plane, fold.factors, fold.constants, decay, pairs, channel,
                               ahead, out);
      }
    }
    for (; channel < v_dim; channel += 16) {
      weigh_by_line<R, 1, 1>(reader, plane, fold.factors, fold.constants, decay, pairs, channel,
                             ahead, out);
    }
  });
}

struct ReadPage {
  ReadPlane keys, values;
  PageAhead ahead;
};

// Scores of plain keys, which stay in registers until they are probabilities, in `p` or, where it
// is null, in s.scores. Where some row needs more than that, false: its block's scores are in
// s.scores.
template <int R>
FATHOM_INLINE bool soften_products(const AttendArgs& a, const PageView& page, ReadPage& read,
                                   const AttendScratch& s, size_t row, uint32_t* p) {
  const size_t pairs = (a.key_channels() + 1) / 2;
  const uint32_t* q = reinterpret_cast<const uint32_t*>(s.q) + row * pairs;
  __m512 acc[R][4];
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < 4; ++j) acc[r][j] = _mm512_setzero_ps();
  }
  const PlainPairs keys{static_cast<const uint32_t*>(read.keys.data), kPageTokens};
  dot_lines<R, 4, 4>(keys, 0, pairs, 0, {q, pairs}, read.ahead.keys, acc);
  if (soften_block<R>(a, page, s, row, acc, p)) return true;
  store_scores<R>(acc, s.scores + row * kPageTokens);
  return false;
}

template <int R>
FATHOM_INLINE void attend_rows(const AttendArgs& a, const PageView& page, ReadPage& read,
                               const AttendScratch& s, size_t row) {
  if (!any_visible<R>(a, page, row)) return;
  float decay[R];
  std::fill_n(decay, R, 1.0f);
  alignas(64) uint32_t pairs[R * kPageTokens / 2];
  uint32_t* p = is_coded(read.values.format) ? nullptr : pairs;
  bool softened = false;
  if (is_coded(read.keys.format)) {
    score_page<R>(a, read.keys, s, row, read.ahead.keys);
  } else {
    softened = soften_products<R>(a, page, read, s, row, p);
  }
  for (int r = 0; r < R && !softened; ++r) {
    const size_t at = static_cast<size_t>(r);
    decay[r] = weights_of_row(a, page, row + at, s.scores + (row + at) * kPageTokens,
                              s.sums + (row + at) * AttendScratch::kSumLanes,
                              p ? p + at * (kPageTokens / 2) : nullptr);
  }
  weigh_page<R>(a, page, read.values, s, row, pairs, decay, read.ahead.values);
}

// Spreads the requests for the next page over the pairs of lines of this one.
FATHOM_INLINE PageAhead look_ahead(const AttendArgs& a, const PageView& next,
                                   const ReadPlane& keys) {
  const bool twice = is_coded(keys.format) && keys.coded.layout.by_lane();
  const size_t pairs = (a.key_channels() + 1) / 2 * (twice ? 2 : 1);
  const size_t parts = (padded_head_dim(a.head_dim) + 63) / 64;
  return {look_ahead(next.k_format, Plane::kKeys, next.key_dim(a.head_dim), next.k, pairs),
          look_ahead(next.v_format, Plane::kValues, a.head_dim, next.v, kPageTokens / 2 * parts)};
}

// Rows of scaled queries as pairs of channels; an odd last channel is paired with 0.
void pair_queries(const AttendArgs& a, uint32_t* q) {
  const float factor = query_factor(a);
  const __m512 f = _mm512_set1_ps(factor);
  const size_t d = a.key_channels(), pairs = (d + 1) / 2;
  for (size_t r = 0; r < a.rows; ++r) {
    const float* row = a.q + r * d;
    size_t c = 0;
    for (; 2 * c + 16 <= d; c += 8) {
      const __m256bh half = _mm512_cvtneps_pbh(_mm512_mul_ps(_mm512_loadu_ps(row + 2 * c), f));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(q + r * pairs + c),
                          reinterpret_cast<__m256i>(half));
    }
    for (; c < pairs; ++c) {
      const float first = row[2 * c] * factor;
      const float second = 2 * c + 1 < d ? row[2 * c + 1] * factor : 0.0f;
      q[r * pairs + c] = to_bfloat(first).bits | uint32_t{to_bfloat(second).bits} << 16;
    }
  }
}

void attend_bf16(const AttendArgs& a) {
  const AttendScratch s(a.scratch, a.head_dim);
  prefetch_page(a, page_at(a, 0), {0, 1});
  pair_queries(a, reinterpret_cast<uint32_t*>(s.q));
  spread_sums<Avx512>(a, s);
  const size_t blocks = (a.rows + kRows - 1) / kRows;
  for (size_t i = 0; i < a.page_count; ++i) {
    const PageView& page = a.pages[i];
    ReadPage read{open_plane(a, page, Plane::kKeys, s.numbers, blocks > 1 ? s.k : nullptr),
                  open_plane(a, page, Plane::kValues, s.more, blocks > 1 ? s.v : nullptr),
                  {}};
    const PageView* next = page_at(a, i + 1);
    if (blocks == 1 && next != nullptr) read.ahead = look_ahead(a, *next, read.keys);
    for (size_t row = 0; row < a.rows; row += kRows) {
      if (blocks > 1) prefetch_page(a, next, {row / kRows, blocks});
      dispatch<kRows>(a.rows - row, [&]<int R>() { attend_rows<R>(a, page, read, s, row); });
    }
  }
  join_sums<Avx512>(a, s);
}

}  // namespace

AttendFn avx512bf16_attend(KvFormat format) {
  return format == KvFormat::kBF16 ? attend_bf16 : avx512_attend(format);
}

}  // namespace fathom::kernel
