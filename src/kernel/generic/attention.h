// The attention tile kernel, written once for every vector type V. Contract: kernel/attention.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/attention.h"
#include "kernel/generic/math.h"
#include "kernel/generic/static_for.h"
#include "kernel/page_code.h"

namespace fathom::kernel {

inline constexpr float kLog2E = 1.4426950408889634f;
// A row's reference, which its exponents are relative to, is left where it is until a score is this
// far above it: 2^8 is nothing to a float, and moving it costs a pass over the row's sums. (Lazy
// rescaling as in FlashAttention-4.)
inline constexpr float kMaxLag = 8.0f;

// Scratch of one call: see attend_scratch_bytes().
struct AttendScratch {
  float* q;        // [rows][head_dim], scaled
  float* scores;   // [rows][64]: scores, then probabilities
  float* k;        // [head_dim][64], the page as floats
  float* v;        // [64][v_dim]
  float* sums;     // [rows][kSumLanes]: a row's sum in as many parts as a vector has lanes
  float* numbers;  // of a coded plane's groups
  float* more;     // a kernel's own
  static constexpr size_t kSumLanes = 16;

  FATHOM_INLINE explicit AttendScratch(std::byte* memory, size_t head_dim) {
    const size_t d = padded_head_dim(head_dim);
    q = reinterpret_cast<float*>(memory);
    scores = q + kAttendRows * d;
    k = scores + kAttendRows * kPageTokens;
    v = k + d * kPageTokens;
    sums = v + kPageTokens * d;
    numbers = sums + kAttendRows * kSumLanes;
    more = numbers + attend_plane_numbers(head_dim);
  }
};

struct Part {
  size_t index, count;
};

// How a page's numbers are read: as they lie (kDirect) or from the float copy in scratch. A copy
// pays once several rows share the page; the values are the same.
enum class PageRead : uint8_t { kDirect, kCopied };

template <class V, KvFormat kFormat, PageRead kRead>
struct PageReader {
  const float* k;
  const float* v;
  const uint16_t* k16;
  const uint16_t* v16;
  size_t v_dim;

  FATHOM_INLINE typename V::F key(size_t channel, size_t lane) const {
    if constexpr (kRead == PageRead::kDirect && kFormat == KvFormat::kF16) {
      return V::load_f16(k16 + channel * kPageTokens + lane);
    } else {
      return V::load(k + channel * kPageTokens + lane);
    }
  }
  FATHOM_INLINE typename V::F value(size_t token, size_t channel) const {
    if constexpr (kRead == PageRead::kDirect && kFormat == KvFormat::kF16) {
      return V::load_f16(v16 + token * v_dim + channel);
    } else {
      return V::load(v + token * v_dim + channel);
    }
  }
};

template <class V>
FATHOM_INLINE void copy_f16(const uint16_t* in, size_t n, float* out) {
  for (size_t i = 0; i < n; i += V::kLanes) V::store(out + i, V::load_f16(in + i));
}

// bf16 pairs [n][width][2] to floats [2n][width].
template <class V>
FATHOM_INLINE void copy_bf16_pairs(const uint16_t* in, size_t n, size_t width, float* out) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t w = 0; w < width; w += V::kLanes) {
      typename V::F first, second;
      V::load_bf16_pairs(in + 2 * (i * width + w), first, second);
      V::store(out + 2 * i * width + w, first);
      V::store(out + (2 * i + 1) * width + w, second);
    }
  }
}

// A coded plane, its groups' numbers as floats in scratch.
struct CodedPlane {
  CodeLayout layout;
  const uint8_t* codes;
  const float* numbers;

  template <class V>
  static FATHOM_INLINE CodedPlane open(KvFormat format, Plane plane, size_t head_dim,
                                       const void* page, float* scratch) {
    const CodeLayout layout(format, plane, head_dim);
    const uint8_t* codes = static_cast<const uint8_t*>(page);
    const uint8_t* numbers = codes + layout.code_bytes;
    for (size_t i = 0; i < layout.numbers; i += V::kLanes) {
      if (layout.number_bytes == 1) {  // exponents
        const auto bits = V::template shl_i32<23>(V::load_bytes_i32(numbers + i));
        V::store(scratch + i, V::bits_to_float(bits));
      } else {
        V::store(scratch + i, V::load_f16(numbers + 2 * i));
      }
    }
    return {layout, codes, scratch};
  }
};

// Codes of a line, from `lane` on, as integers.
template <class V, KvFormat kFormat>
FATHOM_INLINE typename V::I load_codes(const CodedPlane& p, size_t line, size_t lane) {
  constexpr size_t kBits = static_cast<size_t>(code_bits(kFormat));
  const size_t lanes = p.layout.shape.lanes;
  if constexpr (kBits == 8) {
    const auto pair = V::load_u16_i32(p.codes + (line / 2 * lanes + lane) * 2);
    return V::and_i32(V::shr_i32(pair, static_cast<int>(line % 2 * 8)), 255);
  } else {
    constexpr size_t kLines = 32 / kBits;
    const size_t bit = line % 2 * 16 + line % kLines / 2 * kBits;
    const uint8_t* words = p.codes + (line / kLines * lanes + lane) * 4;
    const auto bits = V::load_i32(reinterpret_cast<const int32_t*>(words));
    return V::and_i32(V::shr_i32(bits, static_cast<int>(bit)), (1 << kBits) - 1);
  }
}

// What a code is before its group's numbers are applied.
template <class V, KvFormat kFormat>
FATHOM_INLINE typename V::F code_value(typename V::I code) {
  if constexpr (kFormat == KvFormat::kNf4) return V::lookup16_float(kNf4Levels, code);
  if constexpr (kFormat == KvFormat::kFp4) return V::lookup16_float(kFp4Levels, code);
  if constexpr (kFormat == KvFormat::kQ8) return V::to_float(V::sub_i32(code, 128));
  if constexpr (kFormat == KvFormat::kBfp4) return V::to_float(V::sub_i32(code, 8));
  return V::to_float(code);
}

// The floats of a coded plane, [lines][lanes].
template <class V, KvFormat kFormat, Plane kPlane>
FATHOM_INLINE void decode_plane(const CodedPlane& p, float* out) {
  constexpr bool kByLane = code_group(kFormat, kPlane).lanes == 1;
  const auto number = [&](size_t kind, size_t line, size_t lane) FATHOM_LAMBDA_INLINE {
    const float* n = p.numbers + p.layout.number(kind, line, lane);
    if constexpr (kByLane) return V::load(n);
    return V::set1(*n);
  };
  for (size_t line = 0; line < p.layout.shape.lines; ++line) {
    for (size_t lane = 0; lane < p.layout.shape.lanes; lane += V::kLanes) {
      const auto x = code_value<V, kFormat>(load_codes<V, kFormat>(p, line, lane));
      const auto scale = number(0, line, lane);
      V::store(out + line * p.layout.shape.lanes + lane,
               p.layout.kinds == 2 ? V::fma(x, scale, number(1, line, lane)) : V::mul(x, scale));
    }
  }
}
template <class V, Plane kPlane>
FATHOM_INLINE void decode_plane(KvFormat format, size_t head_dim, const void* page,
                                const AttendScratch& s, float* out) {
  const CodedPlane p = CodedPlane::open<V>(format, kPlane, head_dim, page, s.numbers);
  if (format == KvFormat::kQ8) decode_plane<V, KvFormat::kQ8, kPlane>(p, out);
  if (format == KvFormat::kQ4) decode_plane<V, KvFormat::kQ4, kPlane>(p, out);
  if (format == KvFormat::kQ2) decode_plane<V, KvFormat::kQ2, kPlane>(p, out);
  if (format == KvFormat::kT4) decode_plane<V, KvFormat::kT4, kPlane>(p, out);
  if (format == KvFormat::kT2) decode_plane<V, KvFormat::kT2, kPlane>(p, out);
  if (format == KvFormat::kNf4) decode_plane<V, KvFormat::kNf4, kPlane>(p, out);
  if (format == KvFormat::kFp4) decode_plane<V, KvFormat::kFp4, kPlane>(p, out);
  if (format == KvFormat::kBfp4) decode_plane<V, KvFormat::kBfp4, kPlane>(p, out);
}

template <class V, KvFormat kFormat, PageRead kRead>
FATHOM_INLINE PageReader<V, kFormat, kRead> read_page(const AttendArgs& a, const PageView& page,
                                                      const AttendScratch& s) {
  const size_t d = a.head_dim, v_dim = padded_head_dim(d);
  PageReader<V, kFormat, kRead> reader{
      static_cast<const float*>(page.k), static_cast<const float*>(page.v),
      static_cast<const uint16_t*>(page.k), static_cast<const uint16_t*>(page.v), v_dim};
  if constexpr (kRead == PageRead::kCopied) {
    if (is_coded(page.k_format)) {
      decode_plane<V, Plane::kKeys>(page.k_format, d, page.k, s, s.k);
    } else if constexpr (kFormat == KvFormat::kF16) {
      copy_f16<V>(reader.k16, d * kPageTokens, s.k);
    } else if constexpr (kFormat == KvFormat::kBF16) {
      copy_bf16_pairs<V>(reader.k16, (d + 1) / 2, kPageTokens, s.k);
    }
    if (is_coded(page.v_format)) {
      decode_plane<V, Plane::kValues>(page.v_format, d, page.v, s, s.v);
    } else if constexpr (kFormat == KvFormat::kF16) {
      copy_f16<V>(reader.v16, kPageTokens * v_dim, s.v);
    } else if constexpr (kFormat == KvFormat::kBF16) {
      copy_bf16_pairs<V>(reader.v16, kPageTokens / 2, v_dim, s.v);
    }
    if (kFormat != KvFormat::kF32 || is_coded(page.k_format)) reader.k = s.k;
    if (kFormat != KvFormat::kF32 || is_coded(page.v_format)) reader.v = s.v;
  }
  return reader;
}

FATHOM_INLINE size_t plane_bytes(KvFormat format, Plane plane, size_t head_dim) {
  if (is_coded(format)) return CodeLayout(format, plane, head_dim).bytes();
  const PlaneShape shape = plane_shape(plane, head_dim);
  return shape.lines * shape.lanes * (format == KvFormat::kF32 ? 4 : 2);
}

FATHOM_INLINE void prefetch_plane(KvFormat format, Plane plane, size_t head_dim, const void* data,
                                  Part part) {
  const size_t lines = plane_bytes(format, plane, head_dim) / 64;
  for (size_t i = lines * part.index / part.count; i < lines * (part.index + 1) / part.count; ++i) {
    __builtin_prefetch(static_cast<const char*>(data) + 64 * i, 0, 2);
  }
}

// Asks for a part of a page before its turn comes: the processor's own prefetching begins anew at
// every page, and what it misses is most of the time that decoding a long context takes.
FATHOM_INLINE void prefetch_page(const AttendArgs& a, size_t index, Part part) {
  if (index >= a.page_count) return;
  const PageView& page = a.pages[index];
  prefetch_plane(page.k_format, Plane::kKeys, a.head_dim, page.k, part);
  prefetch_plane(page.v_format, Plane::kValues, a.head_dim, page.v, part);
}

// Memory that is read next: each step over the page before asks for a little of it, so that the
// requests neither queue up nor wait for the arithmetic.
struct Ahead {
  const char* at = nullptr;
  const char* end = nullptr;
  ptrdiff_t step = 0;  // bytes, a multiple of 64

  FATHOM_INLINE void ask() {
    const char* stop = end - at < step ? end : at + step;
    for (; at < stop; at += 64) __builtin_prefetch(at, 0, 2);
  }
};

// A plane of the next page, spread over `steps`.
FATHOM_INLINE Ahead look_ahead(KvFormat format, Plane plane, size_t head_dim, const void* data,
                               size_t steps) {
  const size_t bytes = plane_bytes(format, plane, head_dim);
  const char* at = static_cast<const char*>(data);
  return {at, at + bytes, static_cast<ptrdiff_t>((bytes + 64 * steps - 1) / (64 * steps) * 64)};
}
struct PageAhead {
  Ahead keys, values;
};

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
  score_rows<V, R>(reader, s.q + row * a.head_dim, a.head_dim, ahead.keys, scores);
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
  if (blocks == 1 && index + 1 < a.page_count) {
    const PageView& next = a.pages[index + 1];
    constexpr size_t kWidth = V::kScoreVectors * V::kLanes;
    const size_t parts = padded_head_dim(a.head_dim) / kWidth;
    ahead.keys = look_ahead(next.k_format, Plane::kKeys, a.head_dim, next.k,
                            a.head_dim * (kPageTokens / kWidth));
    ahead.values = look_ahead(next.v_format, Plane::kValues, a.head_dim, next.v,
                              kPageTokens * (parts > 0 ? parts : 1));
  }
  const auto reader = read_page<V, kFormat, kRead>(a, page, s);
  for (size_t row = 0; row < a.rows; row += V::kScoreRows) {
    if (blocks > 1) prefetch_page(a, index + 1, {row / V::kScoreRows, blocks});
    dispatch<V::kScoreRows>(a.rows - row,
                            [&]<int R>() { attend_rows<V, R>(a, page, reader, s, row, ahead); });
  }
}

template <class V>
FATHOM_INLINE void scale_queries(const AttendArgs& a, float* q) {
  const float factor = a.soft_cap > 0 ? a.scale : a.scale * kLog2E;
  for (size_t i = 0; i < a.rows * a.head_dim; ++i) q[i] = a.q[i] * factor;
}

// Rows from which copying a page to floats first is cheaper than converting it for each row block.
inline constexpr size_t kCopyRows = 12;
FATHOM_INLINE constexpr bool reads_directly(KvFormat format, size_t rows) {
  return format == KvFormat::kF32 || (format == KvFormat::kF16 && rows < kCopyRows);
}

template <class V, KvFormat kFormat>
void attend(const AttendArgs& a) {
  const AttendScratch s(a.scratch, a.head_dim);
  prefetch_page(a, 0, {0, 1});
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
