// The memory of a call of the attention kernel, and pages of every format as vectors of floats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/attention.h"
#include "kernel/page_code.h"

namespace fathom::kernel {

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
  const CodeLayout* layout;
  const uint8_t* codes;
  const float* numbers;

  template <class V>
  static FATHOM_INLINE CodedPlane open(const CodeLayout& layout, const void* page, float* scratch) {
    const uint8_t* codes = static_cast<const uint8_t*>(page);
    const uint8_t* numbers = codes + layout.code_bytes;
    if (layout.number_bytes == 1) {  // exponents
      for (size_t i = 0; i < layout.numbers; i += V::kLanes) {
        const auto bits = V::template shl_i32<23>(V::load_bytes_i32(numbers + i));
        V::store(scratch + i, V::bits_to_float(bits));
      }
    } else {
      for (size_t i = 0; i < layout.numbers; i += V::kLanes) {
        V::store(scratch + i, V::load_f16(numbers + 2 * i));
      }
    }
    return {&layout, codes, scratch};
  }
};

// Codes of a line, from `lane` on, as integers.
template <class V, KvFormat kFormat>
FATHOM_INLINE typename V::I load_codes(const CodedPlane& p, size_t line, size_t lane) {
  constexpr size_t kBits = static_cast<size_t>(code_bits(kFormat));
  const size_t lanes = p.layout->shape.lanes;
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
    const float* n = p.numbers + p.layout->number(kind, line, lane);
    if constexpr (kByLane) return V::load(n);
    return V::set1(*n);
  };
  for (size_t line = 0; line < p.layout->shape.lines; ++line) {
    for (size_t lane = 0; lane < p.layout->shape.lanes; lane += V::kLanes) {
      const auto x = code_value<V, kFormat>(load_codes<V, kFormat>(p, line, lane));
      const auto scale = number(0, line, lane);
      V::store(out + line * p.layout->shape.lanes + lane,
               p.layout->kinds == 2 ? V::fma(x, scale, number(1, line, lane)) : V::mul(x, scale));
    }
  }
}
template <class V, Plane kPlane>
FATHOM_INLINE void decode_plane(KvFormat format, size_t head_dim, const void* page,
                                const AttendScratch& s, float* out) {
  const CodeLayout layout(format, kPlane, head_dim);
  const CodedPlane p = CodedPlane::open<V>(layout, page, s.numbers);
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
  const size_t d = a.head_dim, v_dim = padded_head_dim(d), key_dim = a.key_channels();
  PageReader<V, kFormat, kRead> reader{
      static_cast<const float*>(page.k), static_cast<const float*>(page.v),
      static_cast<const uint16_t*>(page.k), static_cast<const uint16_t*>(page.v), v_dim};
  if constexpr (kRead == PageRead::kCopied) {
    if (is_coded(page.k_format)) {
      decode_plane<V, Plane::kKeys>(page.k_format, key_dim, page.k, s, s.k);
    } else if constexpr (kFormat == KvFormat::kF16) {
      copy_f16<V>(reader.k16, key_dim * kPageTokens, s.k);
    } else if constexpr (kFormat == KvFormat::kBF16) {
      copy_bf16_pairs<V>(reader.k16, (key_dim + 1) / 2, kPageTokens, s.k);
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

}  // namespace fathom::kernel
