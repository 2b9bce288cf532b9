// Planes of a page as BF16 kernels read them: lines two by two, 16 lanes to a vector (page_code.h).
// A reader gives the numbers of a plain plane, or the codes of a coded one as integers or levels,
// which BF16 holds exactly (levels: rounded); what the codes' groups have in common is applied to
// what they are multiplied with (coded.h).
#pragma once

#include <bit>

#include "kernel/avx512/simd.h"
#include "kernel/generic/attention.h"

namespace fathom::kernel {

FATHOM_INLINE __m512 dot_pairs(__m512 acc, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

// Readers give the pairs of lines in steps of kStep, which share what the codes' words cost:
// load(first, k, ...) is pair first + k, with `first` a multiple of kStep.

// [lines / 2][lanes] pairs as they lie.
struct PlainPairs {
  static constexpr size_t kStep = 1;
  const uint32_t* pairs;
  size_t lanes;

  template <int kVectors>
  FATHOM_INLINE void load(size_t first, size_t k, size_t lane, __m512i (&out)[kVectors]) const {
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      out[j] = _mm512_loadu_si512(pairs + (first + k) * lanes + lane + 16 * static_cast<size_t>(j));
    }
  }
};

struct MagnitudeBytes {
  uint8_t low[128], high[128];
};
constexpr MagnitudeBytes kMagnitudes = [] {
  MagnitudeBytes bytes{};
  for (int i = 0; i < 128; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(i));
    bytes.low[i] = static_cast<uint8_t>(bits >> 16);
    bytes.high[i] = static_cast<uint8_t>(bits >> 24);
  }
  return bytes;
}();

// kQ8: bytes [lines / 2][lanes][2] as integers. A BF16 has two bytes, each of which is looked up by
// the magnitude, 64 at a time; unpacking puts them side by side.
struct BytePairs {
  static constexpr size_t kStep = 2;
  const uint8_t* codes;
  size_t lanes;
  __m512i low[2], high[2];  // the bytes of BF16s 0 to 127

  FATHOM_INLINE BytePairs(const uint8_t* codes_, size_t lanes_) : codes(codes_), lanes(lanes_) {
    for (int half = 0; half < 2; ++half) {
      low[half] = _mm512_loadu_si512(kMagnitudes.low + 64 * half);
      high[half] = _mm512_loadu_si512(kMagnitudes.high + 64 * half);
    }
  }

  template <int kVectors>
  FATHOM_INLINE void load(size_t first, size_t k, size_t lane, __m512i (&out)[kVectors]) const {
    const uint8_t* p = codes + ((first + k) * lanes + lane) * 2;
    if constexpr (kVectors == 1) {
      const __m512i half =
          _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
      __m512i none;
      look_up(_mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 1, 0, 2, 0, 3, 0), half), out[0],
              none);
    } else {
      FATHOM_UNROLL
      for (int j = 0; j < kVectors; j += 2) {
        const __m512i all = _mm512_loadu_si512(p + 32 * j);
        look_up(_mm512_permutexvar_epi64(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7), all), out[j],
                out[j + 1]);
      }
    }
  }

 private:
  // Within each 128 bits, the first 8 codes go to `first`, the others to `second`.
  FATHOM_INLINE void look_up(__m512i code, __m512i& first, __m512i& second) const {
    const __m512i sign = _mm512_set1_epi8(static_cast<char>(128));
    const __m512i x = _mm512_xor_si512(code, sign);
    const __m512i magnitude = _mm512_abs_epi8(x);
    const __m512i l = _mm512_permutex2var_epi8(low[0], magnitude, low[1]);
    const __m512i h = _mm512_permutex2var_epi8(high[0], magnitude, high[1]);
    const __m512i signed_h = _mm512_ternarylogic_epi32(h, x, sign, 0xf8);  // h | (x & sign)
    first = _mm512_unpacklo_epi8(l, signed_h);
    second = _mm512_unpackhi_epi8(l, signed_h);
  }
};

// Codes of 4 or 2 bits, words [lines * kBits / 32][lanes], by a table of what they are. VPERMW
// looks at five bits of an index: the table repeats, so that what lies above a code does not
// matter.
template <int kBits>
struct TablePairs {
  static constexpr size_t kStep = 16 / kBits;  // pairs of lines in a word
  const uint8_t* codes;
  size_t lanes;
  __m512i table;

  // levels: 16 of them, of which codes of 2 bits use four.
  FATHOM_INLINE TablePairs(const uint8_t* codes_, size_t lanes_, const float* levels)
      : codes(codes_), lanes(lanes_) {
    constexpr int kMask = (1 << kBits) - 1;
    const __m512i index = _mm512_and_si512(Avx512::iota(0), _mm512_set1_epi32(kMask));
    const __m512 all = _mm512_permutexvar_ps(index, _mm512_loadu_ps(levels));
    table = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(all, all));
  }

  template <int kVectors>
  FATHOM_INLINE void load(size_t first, size_t k, size_t lane, __m512i (&out)[kVectors]) const {
    const uint8_t* p = codes + (first / kStep * lanes + lane) * 4;
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      using Words = uint32_t __attribute__((vector_size(64)));
      const Words words = reinterpret_cast<Words>(_mm512_loadu_si512(p + 64 * j)) >> (k * kBits);
      out[j] = _mm512_permutexvar_epi16(reinterpret_cast<__m512i>(words), table);
    }
  }
};

// What the lines are multiplied with: pairs of numbers for each row, and for each group of lanes.
struct Factors {
  const uint32_t* pairs;  // [groups][rows][row_stride]
  size_t row_stride;
  size_t group_stride = 0;
};

// acc[r][j] += pair first + k of lines, lanes lane + 16 j .., times row r's factors.
template <int R, int kVectors, int kGroupVectors, class Reader>
FATHOM_INLINE void dot_pair(const Reader& reader, size_t first, size_t k, size_t lane,
                            const Factors& factors, __m512 (&acc)[R][kVectors]) {
  __m512i x[kVectors];
  reader.load(first, k, lane, x);
  FATHOM_UNROLL
  for (int r = 0; r < R; ++r) {
    const uint32_t* row = factors.pairs + static_cast<size_t>(r) * factors.row_stride + first + k;
    FATHOM_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      const size_t group = static_cast<size_t>(j / kGroupVectors);
      const __m512i factor = _mm512_set1_epi32(static_cast<int>(row[group * factors.group_stride]));
      acc[r][j] = dot_pairs(acc[r][j], x[j], factor);
    }
  }
}

// acc[r][j] += the pairs [begin, end) of lines, lanes lane + 16 j .., times row r's factors.
// Vectors take the factors of groups of kGroupVectors. `begin` is a multiple of the reader's kStep.
template <int R, int kVectors, int kGroupVectors, class Reader>
FATHOM_INLINE void dot_lines(const Reader& reader, size_t begin, size_t end, size_t lane,
                             const Factors& factors, Ahead& ahead, __m512 (&acc)[R][kVectors]) {
  size_t first = begin;
  for (; first + Reader::kStep <= end; first += Reader::kStep) {
    ahead.ask();
    FATHOM_UNROLL
    for (size_t k = 0; k < Reader::kStep; ++k) {
      dot_pair<R, kVectors, kGroupVectors>(reader, first, k, lane, factors, acc);
    }
  }
  for (size_t k = 0; first + k < end; ++k) {
    dot_pair<R, kVectors, kGroupVectors>(reader, first, k, lane, factors, acc);
  }
}

}  // namespace fathom::kernel
