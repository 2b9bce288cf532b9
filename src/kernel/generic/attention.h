// The attention tile kernel, written once for every vector type V. Contract: kernel/attention.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/attention.h"
#include "kernel/generic/ahead.h"
#include "kernel/generic/math.h"
#include "kernel/generic/read_page.h"
#include "kernel/generic/static_for.h"

namespace fathom::kernel {

inline constexpr float kLog2E = 1.4426950408889634f;
// A row's reference, which its exponents are relative to, is left where it is until a score is this
// far above it: 2^8 is nothing to a float, and moving it costs a pass over the row's sums. (Lazy
// rescaling as in FlashAttention-4.)
inline constexpr float kMaxLag = 8.0f;

// scores[r][lane] = q[r] . k[lane] for R rows, one chain over channels each.
template <class V, int R, class Reader>
FATHOM_INLINE void score_rows(const Reader& page, const float* q, size_t d, Ahead& ahead,
                              float* scores) {
  constexpr int kVectors = V::kScoreVectors;
  for (size_t lane = 0; lane < kPageTokens; lane += kVectors * V::kLanes) {
    typename V::F acc[R][kVectors];
    FATHOM_UNROLL
    for (int r = 0; r < R; ++r) {
      FATHOM_UNROLL
      for (int j = 0; j < kVectors; ++j) acc[r][j] = V::zero();
    }
    for (size_t c = 0; c < d; ++c) {
      ahead.ask();
      typename V::F k[kVectors];
      FATHOM_UNROLL
      for (int j = 0; j < kVectors; ++j) k[j] = page.key(c, lane + j * V::kLanes);
      FATHOM_UNROLL
      for (int r = 0; r < R; ++r) {
        const auto qc = V::set1(q[static_cast<size_t>(r) * d + c]);
        FATHOM_UNROLL
        for (int j = 0; j < kVectors; ++j) acc[r][j] = V::fma(qc, k[j], acc[r][j]);
      }
    }
    FATHOM_UNROLL
    for (int r = 0; r < R; ++r) {
      FATHOM_UNROLL
      for (int j = 0; j < kVectors; ++j) {
        V::store(scores + static_cast<size_t>(r) * kPageTokens + lane + j * V::kLanes, acc[r][j]);
      }
    }
  }
}

// out[r] = out[r] * decay[r] + sum over tokens of p[r][t] v[t], one chain over tokens each.
template <class V, int R, int kVectors, class Reader>
FATHOM_INLINE void weigh_columns(const Reader& page, const float* p, const float* decay,
                                 size_t tokens, size_t channel, Ahead& ahead, float* out) {
  typename V::F acc[R][kVectors];
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    const auto factor = V::set1(decay[r]);
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      const float* o = out + static_cast<size_t>(r) * page.v_dim + channel + j * V::kLanes;
      acc[r][j] = V::mul(V::load(o), factor);
    }
  }
  for (size_t t = 0; t < tokens; ++t) {
    ahead.ask();
    typename V::F v[kVectors];
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) v[j] = page.value(t, channel + j * V::kLanes);
    FATHOM_UNROLL
    for (int r = 0; r < R; ++r) {
      const auto weight = V::set1(p[static_cast<size_t>(r) * kPageTokens + t]);
      FATHOM_UNROLL
      for (int j = 0; j < kVectors; ++j) acc[r][j] = V::fma(weight, v[j], acc[r][j]);
    }
  }
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      V::store(out + static_cast<size_t>(r) * page.v_dim + channel + j * V::kLanes, acc[r][j]);
    }
  }
}

template <class V, int R, class Reader>
FATHOM_INLINE void weigh_rows(const Reader& page, const float* p, const float* decay, size_t tokens,
                              Ahead& ahead, float* out) {
  constexpr size_t kStep = V::kScoreVectors * V::kLanes;
  size_t channel = 0;
  for (; channel + kStep <= page.v_dim; channel += kStep) {
    weigh_columns<V, R, V::kScoreVectors>(page, p, decay, tokens, channel, ahead, out);
  }
  constexpr int kPerTile = 16 / V::kLanes;  // v_dim is a multiple of 16
  for (; channel < page.v_dim; channel += 16) {
    weigh_columns<V, R, kPerTile>(page, p, decay, tokens, channel, ahead, out);
  }
}

enum class Visibility : uint8_t { kNone, kSome, kAll };

// Which of the page's tokens a query at `position` sees, by the page's range of positions.
FATHOM_INLINE Visibility visibility(const AttendArgs& a, const PageView& page, int32_t position) {
  const int32_t n = page.tokens;
  const int32_t first = page.positions ? page.positions[0] : page.first_position;
  const int32_t last = page.positions ? page.positions[n - 1] : page.first_position + n - 1;
  const bool too_old = a.window > 0 && last <= position - a.window;
  if (first > position || too_old) return Visibility::kNone;
  const bool all_recent = a.window <= 0 || first > position - a.window;
  const bool full = n == kPageTokens && page.slots == ~uint64_t{0};
  return last <= position && all_recent && full ? Visibility::kAll : Visibility::kSome;
}

// Hides what the query may not see: later tokens, tokens out of the window, empty slots.
template <class V>
FATHOM_INLINE typename V::F mask(const AttendArgs& a, const PageView& page, int32_t position,
                                 size_t lane, typename V::F s) {
  const int at = static_cast<int>(lane);
  s = V::mask_positions(s, V::iota(at), -1, page.tokens - 1);
  s = V::mask_slots(s, static_cast<uint32_t>(page.slots >> lane));
  const int low = a.window > 0 ? position - a.window : -2147483647;
  if (page.positions == nullptr) {
    return V::mask_positions(s, V::iota(page.first_position + at), low, position);
  }
  return V::mask_positions(s, V::load_i32(page.positions + lane), low, position);
}

// A call keeps each row's sum spread over the lanes of a vector and joins it at the end.
template <class V>
FATHOM_INLINE void spread_sums(const AttendArgs& a, const AttendScratch& s) {
  for (size_t r = 0; r < a.rows; ++r) {
    float* sums = s.sums + r * AttendScratch::kSumLanes;
    V::store(sums, V::zero());
    sums[0] = a.state.sum[r];
  }
}
template <class V>
FATHOM_INLINE void join_sums(const AttendArgs& a, const AttendScratch& s) {
  for (size_t r = 0; r < a.rows; ++r) {
    a.state.sum[r] = V::reduce_add(V::load(s.sums + r * AttendScratch::kSumLanes));
  }
}

// Turns one row's scores into probabilities relative to the row's reference (state.max), which
// moves where it must, and adds them to the sum. Returns the factor for what was summed before; 1
// and zero probabilities for an unseen page.
template <class V>
FATHOM_INLINE float soften(const AttendArgs& a, const PageView& page, size_t row, float* scores,
                           typename V::F& sum) {
  using F = typename V::F;
  constexpr int kVectors = kPageTokens / V::kLanes;
  const int32_t position = a.positions[row];
  const Visibility seen = visibility(a, page, position);
  F s[kVectors];
  F top = V::set1(-__builtin_inff());
  for (int j = 0; j < kVectors; ++j) {
    const size_t lane = static_cast<size_t>(j) * V::kLanes;
    s[j] = V::load(scores + lane);
    if (a.soft_cap > 0) {
      const F capped = kernel::tanh<V>(V::mul(s[j], V::set1(1.0f / a.soft_cap)));
      s[j] = V::mul(capped, V::set1(a.soft_cap * kLog2E));
    }
    if (seen != Visibility::kAll) s[j] = mask<V>(a, page, position, lane, s[j]);
    top = V::max(top, s[j]);
  }
  float& max = a.state.max[row];
  float factor = 1.0f;
  if (V::any_greater(top, max + kMaxLag)) {
    const float old = max;
    max = V::reduce_max(top);
    float decay[V::kLanes];
    V::store(decay, kernel::exp2<V>(V::set1(old - max)));
    factor = decay[0];
    sum = V::mul(sum, V::set1(factor));
  } else if (max == -__builtin_inff()) {  // nothing seen, here or before
    for (int j = 0; j < kVectors; ++j) V::store(scores + j * V::kLanes, V::zero());
    return 1.0f;
  }
  for (int j = 0; j < kVectors; ++j) {
    const F p = kernel::exp2<V>(V::sub(s[j], V::set1(max)));
    V::store(scores + j * V::kLanes, p);
    sum = V::add(sum, p);
  }
  return factor;
}

template <int R>
FATHOM_INLINE bool any_visible(const AttendArgs& a, const PageView& page, size_t row) {
  bool any = false;
  for (int r = 0; r < R; ++r) {
    any |= visibility(a, page, a.positions[row + static_cast<size_t>(r)]) != Visibility::kNone;
  }
  return any;
}

template <class V, int R, class Reader>
FATHOM_INLINE void attend_rows(const AttendArgs& a, const PageView& page, const Reader& reader,
                               const AttendScratch& s, size_t row, PageAhead& ahead) {
  float* scores = s.scores + row * kPageTokens;
  if (!any_visible<R>(a, page, row)) return;
  score_rows<V, R>(reader, s.q + row * a.key_channels(), a.key_channels(), ahead.keys, scores);
  float decay[R];
  for (int r = 0; r < R; ++r) {
    const size_t at = static_cast<size_t>(r);
    float* sums = s.sums + (row + at) * AttendScratch::kSumLanes;
    typename V::F sum = V::load(sums);
    decay[r] = soften<V>(a, page, row + at, scores + at * kPageTokens, sum);
    V::store(sums, sum);
  }
  float* out = a.state.out + row * reader.v_dim;
  weigh_rows<V, R>(reader, scores, decay, static_cast<size_t>(page.tokens), ahead.values, out);
}

template <class V, KvFormat kFormat, PageRead kRead>
FATHOM_INLINE void attend_page(const AttendArgs& a, size_t index, const AttendScratch& s) {
  const PageView& page = a.pages[index];
  const size_t blocks = (a.rows + V::kScoreRows - 1) / V::kScoreRows;
  PageAhead ahead;
  const PageView* following = page_at(a, index + 1);
  if (blocks == 1 && following != nullptr) {
    const PageView& next = *following;
    constexpr size_t kWidth = V::kScoreVectors * V::kLanes;
    const size_t parts = padded_head_dim(a.head_dim) / kWidth;
    ahead.keys = look_ahead(next.k_format, Plane::kKeys, next.key_dim(a.head_dim), next.k,
                            a.key_channels() * (kPageTokens / kWidth));
    ahead.values = look_ahead(next.v_format, Plane::kValues, a.head_dim, next.v,
                              kPageTokens * (parts > 0 ? parts : 1));
  }
  const auto reader = read_page<V, kFormat, kRead>(a, page, s);
  for (size_t row = 0; row < a.rows; row += V::kScoreRows) {
    if (blocks > 1) prefetch_page(a, following, {row / V::kScoreRows, blocks});
    dispatch<V::kScoreRows>(a.rows - row,
                            [&]<int R>() { attend_rows<V, R>(a, page, reader, s, row, ahead); });
  }
}

template <class V>
FATHOM_INLINE void scale_queries(const AttendArgs& a, float* q) {
  const float factor = a.soft_cap > 0 ? a.scale : a.scale * kLog2E;
  for (size_t i = 0; i < a.rows * a.key_channels(); ++i) q[i] = a.q[i] * factor;
}

// Rows from which copying a page to floats first is cheaper than converting it for each row block.
inline constexpr size_t kCopyRows = 12;
FATHOM_INLINE constexpr bool reads_directly(KvFormat format, size_t rows) {
  return format == KvFormat::kF32 || (format == KvFormat::kF16 && rows < kCopyRows);
}

template <class V, KvFormat kFormat>
void attend(const AttendArgs& a) {
  const AttendScratch s(a.scratch, a.head_dim);
  prefetch_page(a, page_at(a, 0), {0, 1});
  scale_queries<V>(a, s.q);
  spread_sums<V>(a, s);
  for (size_t i = 0; i < a.page_count; ++i) {
    const PageView& page = a.pages[i];
    const bool coded = is_coded(page.k_format) || is_coded(page.v_format);
    if (!coded && reads_directly(kFormat, a.rows)) {
      attend_page<V, kFormat, PageRead::kDirect>(a, i, s);
    } else {
      attend_page<V, kFormat, PageRead::kCopied>(a, i, s);
    }
  }
  join_sums<V>(a, s);
}

template <class V>
AttendFn attend_of(KvFormat format) {
  switch (format) {
    case KvFormat::kF32:
      return attend<V, KvFormat::kF32>;
    case KvFormat::kF16:
      return attend<V, KvFormat::kF16>;
    case KvFormat::kBF16:
      return attend<V, KvFormat::kBF16>;
    default:
      return nullptr;  // pages that are being filled are plain
  }
}

}  // namespace fathom::kernel
