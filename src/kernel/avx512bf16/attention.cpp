#include "kernel/generic/attention.h"

#include <algorithm>

#include "base/half.h"
#include "kernel/avx512/simd.h"
#include "kernel/avx512/tables.h"
#include "kernel/avx512bf16/coded.h"
#include "kernel/avx512bf16/tables.h"
#include "kernel/avx512bf16/weights.h"

namespace fathom::kernel {
namespace {

// Scores and weighted sums over pages of BF16 pairs (VDPBF16PS): queries and probabilities are
// rounded to BF16, sums are f32.

constexpr size_t kRows = 6;  // that share a pass over a page

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

// p holds pairs of probabilities, [R][32], 0 beyond `parts`.
template <int R, int kVectors>
FATHOM_INLINE void weigh_columns(const PlainPairs& page, unsigned parts, const uint32_t* p,
                                 const float* decay, size_t pairs, size_t channel, Ahead& ahead,
                                 float* out) {
  __m512 acc[R][kVectors];
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      const float* o = out + static_cast<size_t>(r) * page.lanes + channel + 16 * j;
      acc[r][j] = _mm512_mul_ps(_mm512_loadu_ps(o), _mm512_set1_ps(decay[r]));
    }
  }
  const Factors factors{p, kPageTokens / 2};
  if (parts == kAllParts) {
    dot_lines<R, kVectors, kVectors>(page, 0, pairs, channel, factors, ahead, acc);
  } else {
    constexpr size_t kPairs = kPartSlots / 2;
    for (size_t part = 0; part * kPairs < pairs; ++part) {
      if ((parts >> part & 1) == 0) continue;
      const size_t end = std::min(pairs, (part + 1) * kPairs);
      dot_lines<R, kVectors, kVectors>(page, part * kPairs, end, channel, factors, ahead, acc);
    }
  }
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      _mm512_storeu_ps(out + static_cast<size_t>(r) * page.lanes + channel + 16 * j, acc[r][j]);
    }
  }
}

// Where factors times a plane's numbers go.
FATHOM_INLINE Folded folded_room(const AttendArgs& a, const AttendScratch& s) {
  float* memory = s.more + attend_plane_numbers(a.head_dim);
  return {reinterpret_cast<uint32_t*>(memory),
          memory + kRows * (padded_head_dim(a.head_dim) + kPageTokens)};
}

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
  if (p.layout->by_lane()) {
    return with_reader(keys, kPageTokens, [&](const auto& reader) FATHOM_LAMBDA_INLINE {
      score_by_lane<R>(reader, p, q, pairs, ahead, scores);
    });
  }
  const Folded fold = folded_room(a, s);
  const size_t d = a.key_channels();
  const Rows rows{a.q + row * d, d, d, query_factor(a)};
  fold_lines<R>(p, rows, fold);
  with_reader(keys, kPageTokens, [&](const auto& reader) FATHOM_LAMBDA_INLINE {
    if (p.layout->group.lanes == 32) {
      score_by_line<R, 2>(reader, p, fold.factors, fold.constants, ahead, scores);
    } else {
      score_by_line<R, 4>(reader, p, fold.factors, fold.constants, ahead, scores);
    }
  });
}

// p: pairs of probabilities for plain values; coded ones take those in s.scores.
template <int R>
FATHOM_INLINE void weigh_page(const AttendArgs& a, ReadPage& read, const AttendScratch& s,
                              size_t row, const uint32_t* p, const float* decay) {
  const PageView& page = *read.view;
  const ReadPlane& values = read.values;
  const unsigned parts = read.parts;
  Ahead& ahead = read.ahead.values;
  const size_t v_dim = padded_head_dim(a.head_dim);
  const size_t pairs = (static_cast<size_t>(page.tokens) + 1) / 2;
  float* out = a.state.out + row * v_dim;
  size_t channel = 0;
  if (!is_coded(values.format)) {
    const PlainPairs reader{static_cast<const uint32_t*>(values.data), v_dim};
    for (; channel + 64 <= v_dim; channel += 64) {
      weigh_columns<R, 4>(reader, parts, p, decay, pairs, channel, ahead, out);
    }
    for (; channel < v_dim; channel += 16) {
      weigh_columns<R, 1>(reader, parts, p, decay, pairs, channel, ahead, out);
    }
    return;
  }
  const Folded fold = folded_room(a, s);
  const CodedPlane& plane = values.coded;
  const Rows rows{s.scores + row * kPageTokens, kPageTokens, kPageTokens, 1.0f};
  fold_lines<R>(plane, rows, fold);
  with_reader(values, v_dim, [&](const auto& reader) FATHOM_LAMBDA_INLINE {
    for (; channel + 64 <= v_dim; channel += 64) {
      if (plane.layout->group.lanes == 32) {
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

// Scores of plain keys, which stay in registers until they are probabilities, in `p` or, where it
// is null, in s.scores. Where some row needs more than that, false: its block's scores are in
// s.scores.
template <int R>
FATHOM_INLINE bool soften_products(const AttendArgs& a, ReadPage& page, const AttendScratch& s,
                                   size_t row, uint32_t* p) {
  const size_t pairs = (a.key_channels() + 1) / 2;
  const uint32_t* q = reinterpret_cast<const uint32_t*>(s.q) + row * pairs;
  __m512 acc[R][4];
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < 4; ++j) acc[r][j] = _mm512_setzero_ps();
  }
  const PlainPairs keys{static_cast<const uint32_t*>(page.keys.data), kPageTokens};
  dot_lines<R, 4, 4>(keys, 0, pairs, 0, {q, pairs}, page.ahead.keys, acc);
  if (soften_block<R>(a, page, s, row, acc, p)) return true;
  store_scores<R>(acc, s.scores + row * kPageTokens);
  return false;
}

// The same for scores in memory, which stay there where it is false.
template <int R>
FATHOM_INLINE bool soften_scores(const AttendArgs& a, const ReadPage& page, const AttendScratch& s,
                                 size_t row, uint32_t* p) {
  __m512 acc[R][4];
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    const float* scores = s.scores + (row + static_cast<size_t>(r)) * kPageTokens;
    FATHOM_UNROLL
    for (int j = 0; j < 4; ++j) acc[r][j] = _mm512_loadu_ps(scores + 16 * j);
  }
  return soften_block<R>(a, page, s, row, acc, p);
}

// Scores of plain keys in some parts of a page, 0 elsewhere.
template <int R>
FATHOM_INLINE void score_parts(const AttendArgs& a, ReadPage& page, const AttendScratch& s,
                               size_t row) {
  const size_t pairs = (a.key_channels() + 1) / 2;
  const uint32_t* q = reinterpret_cast<const uint32_t*>(s.q) + row * pairs;
  const PlainPairs keys{static_cast<const uint32_t*>(page.keys.data), kPageTokens};
  float* scores = s.scores + row * kPageTokens;
  for (size_t lane = 0; lane < kPageTokens; lane += kPartSlots) {
    __m512 acc[R][1];
    for (int r = 0; r < R; ++r) acc[r][0] = _mm512_setzero_ps();
    if (page.parts >> (lane / kPartSlots) & 1) {
      dot_lines<R, 1, 1>(keys, 0, pairs, lane, {q, pairs}, page.ahead.keys, acc);
    }
    for (size_t r = 0; r < R; ++r) {
      _mm512_storeu_ps(scores + r * kPageTokens + lane, acc[r][0]);
    }
  }
}

template <int R>
FATHOM_INLINE void attend_rows(const AttendArgs& a, ReadPage& page, const AttendScratch& s,
                               size_t row) {
  if (!page.whole && !any_visible<R>(a, *page.view, row)) return;
  float decay[R];
  std::fill_n(decay, R, 1.0f);
  alignas(64) uint32_t pairs[R * kPageTokens / 2];
  uint32_t* p = is_coded(page.values.format) ? nullptr : pairs;
  bool softened = false;
  if (is_coded(page.keys.format)) {
    score_page<R>(a, page.keys, s, row, page.ahead.keys);
    softened = soften_scores<R>(a, page, s, row, p);
  } else if (page.parts != kAllParts) {
    score_parts<R>(a, page, s, row);
  } else {
    softened = soften_products<R>(a, page, s, row, p);
  }
  for (int r = 0; r < R && !softened; ++r) {
    const size_t at = static_cast<size_t>(r);
    decay[r] = weights_of_row(a, *page.view, row + at, s.scores + (row + at) * kPageTokens,
                              s.sums + (row + at) * AttendScratch::kSumLanes,
                              p ? p + at * (kPageTokens / 2) : nullptr);
  }
  weigh_page<R>(a, page, s, row, pairs, decay);
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

// Queries that see different parts of a page, if any do.
struct Span {
  int32_t lowest, highest;

  FATHOM_INLINE explicit Span(const AttendArgs& a) : lowest(a.positions[0]), highest(lowest) {
    for (size_t r = 1; r < a.rows; ++r) {
      lowest = std::min(lowest, a.positions[r]);
      highest = std::max(highest, a.positions[r]);
    }
  }
  FATHOM_INLINE bool see_whole(const AttendArgs& a, const PageView& page) const {
    return visibility(a, page, lowest) == Visibility::kAll &&
           visibility(a, page, highest) == Visibility::kAll;
  }
};

void attend_bf16(const AttendArgs& a) {
  if (a.page_count == 0 || a.rows == 0) return;
  const AttendScratch s(a.scratch, a.head_dim);
  const unsigned first_parts = parts_of(a.pages[0]);
  if (first_parts != kAllParts) {
    prefetch_parts(a, a.pages[0], first_parts);
  } else {
    prefetch_page(a, a.pages, {0, 1});
  }
  pair_queries(a, reinterpret_cast<uint32_t*>(s.q));
  spread_sums<Avx512>(a, s);
  const Span span(a);
  const size_t blocks = (a.rows + kRows - 1) / kRows;
  const auto copy = [&](float* room) FATHOM_LAMBDA_INLINE {
    return blocks > 1 ? reinterpret_cast<uint32_t*>(room) : nullptr;
  };
  PageKind kind(a, a.pages[0]);
  for (size_t i = 0; i < a.page_count; ++i) {
    const PageView& page = a.pages[i];
    if (!kind.fits(a, page)) kind = PageKind(a, page);
    ReadPage read{&page, open_plane(kind.keys, page.k, {s.numbers, copy(s.k)}),
                  open_plane(kind.values, page.v, {s.more, copy(s.v)}), span.see_whole(a, page),
                  parts_of(page)};
    const PageView* next = page_at(a, i + 1);
    if (blocks == 1 && next != nullptr) {
      const unsigned parts = parts_of(*next);
      if (parts != kAllParts) {
        prefetch_parts(a, *next, parts);
      } else {
        read.ahead = look_ahead(a, *next, kind);
      }
    }
    for (size_t row = 0; row < a.rows; row += kRows) {
      if (blocks > 1) prefetch_page(a, next, {row / kRows, blocks});
      dispatch<kRows>(a.rows - row, [&]<int R>() { attend_rows<R>(a, read, s, row); });
    }
  }
  join_sums<Avx512>(a, s);
}

}  // namespace

AttendFn avx512bf16_attend(KvFormat format) {
  return format == KvFormat::kBF16 ? attend_bf16 : avx512_attend(format);
}

}  // namespace fathom::kernel
