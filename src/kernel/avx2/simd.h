// AVX2 with FMA and F16C as the vector type of kernel/generic. Only for files built with its flags.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernel/generic/inline.h"

#define FATHOM_SIMD static FATHOM_INLINE

namespace fathom::kernel {

struct Avx2 {
  static constexpr size_t kLanes = 8;
  using F = __m256;
  using I = __m256i;
  using B = __m256i;  // 32 bytes: 4 values of each of 8 rows

  FATHOM_SIMD F zero() { return _mm256_setzero_ps(); }
  FATHOM_SIMD F set1(float x) { return _mm256_set1_ps(x); }
  FATHOM_SIMD F load(const float* p) { return _mm256_loadu_ps(p); }
  FATHOM_SIMD F load_n(const float* p, size_t n) { return _mm256_maskload_ps(p, first(n)); }
  FATHOM_SIMD void store(float* p, F x) { _mm256_storeu_ps(p, x); }
  FATHOM_SIMD void store_n(float* p, F x, size_t n) { _mm256_maskstore_ps(p, first(n), x); }
  FATHOM_SIMD F load_f16(const void* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  }
  FATHOM_SIMD F load_bf16(const void* p) {
    const I wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
  FATHOM_SIMD void load_bf16_pairs(const void* p, F& first, F& second) {
    const I pairs = _mm256_loadu_si256(static_cast<const __m256i*>(p));
    first = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
    second = _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(int(0xffff0000))));
  }
  FATHOM_SIMD void store_bf16(void* p, F x) {
    const I bits = _mm256_castps_si256(x);
    const I odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const I rounded = _mm256_srli_epi32(
        _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), 16);
    const __m128i packed =
        _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
    _mm_storeu_si128(static_cast<__m128i*>(p), packed);
  }
  FATHOM_SIMD F add(F a, F b) { return _mm256_add_ps(a, b); }
  FATHOM_SIMD F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  FATHOM_SIMD F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  FATHOM_SIMD F div(F a, F b) { return _mm256_div_ps(a, b); }
  FATHOM_SIMD F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  FATHOM_SIMD F max(F a, F b) { return _mm256_max_ps(a, b); }
  FATHOM_SIMD F min(F a, F b) { return _mm256_min_ps(a, b); }
  FATHOM_SIMD F abs(F a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
  FATHOM_SIMD float reduce_add(F a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
  }
  FATHOM_SIMD float reduce_max(F a) {
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
  }
  FATHOM_SIMD F round(F a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  FATHOM_SIMD bool any_greater(F x, float limit) {
    return _mm256_movemask_ps(_mm256_cmp_ps(x, _mm256_set1_ps(limit), _CMP_GT_OQ)) != 0;
  }
  FATHOM_SIMD F select_less(F x, float limit, F a, F b) {
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, _mm256_set1_ps(limit), _CMP_LT_OQ));
  }
  // x * 2^n for integral n >= -300, x near 1; 0 where the result underflows.
  FATHOM_SIMD F scale2(F x, F n) {
    const F normal = _mm256_cmp_ps(n, _mm256_set1_ps(-126.0f), _CMP_GE_OQ);
    const I exponent = _mm256_slli_epi32(
        _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_min_ps(n, _mm256_set1_ps(127.0f))),
                         _mm256_set1_epi32(127)),
        23);
    return _mm256_and_ps(normal, _mm256_mul_ps(x, _mm256_castsi256_ps(exponent)));
  }
  FATHOM_SIMD F mask_positions(F x, I position, int low, int high) {
    const I hidden = _mm256_or_si256(_mm256_cmpgt_epi32(position, _mm256_set1_epi32(high)),
                                     _mm256_cmpgt_epi32(_mm256_set1_epi32(low + 1), position));
    return _mm256_blendv_ps(x, _mm256_set1_ps(-__builtin_inff()), _mm256_castsi256_ps(hidden));
  }

  // x where bit i is set, -inf elsewhere.
  FATHOM_SIMD F mask_slots(F x, uint32_t bits) {
    const I lane_bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const I set = _mm256_cmpeq_epi32(
        _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits)), lane_bits), lane_bits);
    return _mm256_blendv_ps(_mm256_set1_ps(-__builtin_inff()), x, _mm256_castsi256_ps(set));
  }

  FATHOM_SIMD I round_to_i32(F x) { return _mm256_cvtps_epi32(x); }
  FATHOM_SIMD void store_i8(int8_t* p, I x) {  // values that fit
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words, words));
  }
  FATHOM_SIMD I add_i32(I a, I b) { return _mm256_add_epi32(a, b); }
  FATHOM_SIMD int reduce_add_i32(I a) {
    __m128i x = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1)));
  }
  FATHOM_SIMD I set1_i32(int x) { return _mm256_set1_epi32(x); }
  FATHOM_SIMD I load_i32(const int32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  FATHOM_SIMD I iota(int first) {
    return _mm256_add_epi32(_mm256_set1_epi32(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  FATHOM_SIMD F to_float(I x) { return _mm256_cvtepi32_ps(x); }
  FATHOM_SIMD F bytes_to_float(const uint8_t* p) { return to_float(load_bytes_i32(p)); }
  FATHOM_SIMD F signed_bytes_to_float(const uint8_t* p) {
    return to_float(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  FATHOM_SIMD I load_bytes_i32(const uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  FATHOM_SIMD I load_u16_i32(const uint8_t* p) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  FATHOM_SIMD I and_i32(I a, int b) { return _mm256_and_si256(a, _mm256_set1_epi32(b)); }
  FATHOM_SIMD I max_i32(I a, int b) { return _mm256_max_epi32(a, _mm256_set1_epi32(b)); }
  FATHOM_SIMD I min_i32(I a, int b) { return _mm256_min_epi32(a, _mm256_set1_epi32(b)); }
  FATHOM_SIMD I or_i32(I a, I b) { return _mm256_or_si256(a, b); }
  FATHOM_SIMD I sub_i32(I a, int b) { return _mm256_sub_epi32(a, _mm256_set1_epi32(b)); }
  template <int N>
  FATHOM_SIMD I shl_i32(I a) {
    return _mm256_slli_epi32(a, N);
  }
  FATHOM_SIMD I shr_i32(I a, int n) { return _mm256_srl_epi32(a, _mm_cvtsi32_si128(n)); }
  FATHOM_SIMD F bits_to_float(I a) { return _mm256_castsi256_ps(a); }
  // table[index] for indices below 16.
  FATHOM_SIMD F lookup16_float(const float* table, I index) {
    const F low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index);
    const F high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), index);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
  }

  // --- bytes -------------------------------------------------------------------------------
  FATHOM_SIMD B load_bytes(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  FATHOM_SIMD void store_bytes(uint8_t* p, B b) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), b);
  }
  FATHOM_SIMD B broadcast4(const int8_t* p) {
    return _mm256_set1_epi32(*reinterpret_cast<const int32_t __attribute__((may_alias))*>(p));
  }
  FATHOM_SIMD B and_bytes(B a, int mask) {
    return _mm256_and_si256(a, _mm256_set1_epi8(static_cast<char>(mask)));
  }
  FATHOM_SIMD B or_bytes(B a, B b) { return _mm256_or_si256(a, b); }
  template <int N>
  FATHOM_SIMD B shr_and(B a, int mask) {
    return and_bytes(_mm256_srli_epi16(a, N), mask);
  }
  // a << n in every byte. REQUIRES: no bit leaves its byte.
  template <int N>
  FATHOM_SIMD B shl_bytes(B a) {
    return _mm256_slli_epi16(a, N);
  }
  FATHOM_SIMD B lookup16(B index, const uint8_t* table) {
    const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), index);
  }
  // Adds `value` to the bytes whose bit is set in a group's mask; `lane` is 0 or 8, the first of
  // the 8 rows.
  FATHOM_SIMD B add_where(B a, const uint8_t* mask, size_t lane, int value) {
    int32_t bits;
    __builtin_memcpy(&bits, mask + lane / 2, 4);
    const B spread = _mm256_shuffle_epi8(
        _mm256_set1_epi32(bits), _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2,
                                                  2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3));
    const B pick = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
    const B set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, pick), pick);
    return _mm256_add_epi8(a, _mm256_and_si256(set, _mm256_set1_epi8(static_cast<char>(value))));
  }
  FATHOM_SIMD B trit(B a, int power) {
    const B even = trit16(_mm256_and_si256(a, _mm256_set1_epi16(0xff)), power);
    const B odd = trit16(_mm256_srli_epi16(a, 8), power);
    return _mm256_or_si256(even, _mm256_slli_epi16(odd, 8));
  }
  FATHOM_SIMD B trit16(B a, int power) {
    const B low =
        _mm256_and_si256(_mm256_mullo_epi16(a, _mm256_set1_epi16(static_cast<short>(power))),
                         _mm256_set1_epi16(0xff));
    return _mm256_srli_epi16(_mm256_mullo_epi16(low, _mm256_set1_epi16(3)), 8);
  }
  FATHOM_SIMD B from_signed(B a) { return a; }
  static constexpr int kSignedOffset = 0;

  // maddubs sums two products into int16, which must not saturate: 2 * kMaxCode * 127 a group. So
  // groups gather in `partial` as far as that holds, and then in `sum`. Codes are unsigned up to
  // kMaxCode, or, where it is 255, signed.
  template <int kMaxCode>
  struct IntDot {
    static constexpr size_t kGroupsPerSum = kMaxCode <= 15   ? 8
                                            : kMaxCode <= 31 ? 4
                                            : kMaxCode <= 63 ? 2
                                                             : 1;
    FATHOM_SIMD I products(B codes, B activations) {
      if constexpr (kMaxCode == 255) {
        return _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(activations, codes));
      } else {
        return _mm256_maddubs_epi16(codes, activations);
      }
    }
    FATHOM_SIMD I widened(I sum, I partial) {
      return _mm256_add_epi32(sum, _mm256_madd_epi16(partial, _mm256_set1_epi16(1)));
    }
    template <size_t kGroup>
    FATHOM_SIMD void add(I& sum, I& partial, B codes, B activations) {
      const I both = products(codes, activations);
      partial = kGroup % kGroupsPerSum == 0 ? both : _mm256_add_epi16(partial, both);
      if constexpr (kGroup % kGroupsPerSum == kGroupsPerSum - 1) {
        sum = widened(sum, partial);
        partial = _mm256_setzero_si256();
      }
    }
    // 4 groups of a half sub-block may still be waiting where 8 fit.
    FATHOM_SIMD I finish(I sum, I partial) {
      return kGroupsPerSum == 8 ? widened(sum, partial) : sum;
    }
  };

  // Shapes that fit 16 registers.
  static constexpr int kDirectBatch = 4;  // tokens that share the unpacking of codes
  static constexpr int kExpandVectors = 2, kExpandTokens = 4;
  static constexpr int kFloatVectors = 2, kFloatTokens = 6;
  static constexpr int kScoreRows = 3, kScoreVectors = 4;

 private:
  FATHOM_SIMD I first(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

}  // namespace fathom::kernel
