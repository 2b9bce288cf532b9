// AVX-512 with VNNI as the vector type of kernel/generic. Only for files built with its flags.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernel/generic/inline.h"

#define FATHOM_SIMD static FATHOM_INLINE

namespace fathom::kernel {

struct Avx512 {
  static constexpr size_t kLanes = 16;  // floats, and matrix rows, in a vector
  using F = __m512;
  using I = __m512i;  // 16 int32
  using B = __m512i;  // 64 bytes: 4 values of each of 16 rows

  FATHOM_SIMD F zero() { return _mm512_setzero_ps(); }
  FATHOM_SIMD F set1(float x) { return _mm512_set1_ps(x); }
  FATHOM_SIMD F load(const float* p) { return _mm512_loadu_ps(p); }
  FATHOM_SIMD F load_n(const float* p, size_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  FATHOM_SIMD void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  FATHOM_SIMD void store_n(float* p, F x, size_t n) { _mm512_mask_storeu_ps(p, first(n), x); }
  FATHOM_SIMD F load_f16(const void* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  }
  FATHOM_SIMD F load_bf16(const void* p) {
    const I wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
  // 16 pairs of bf16: the first and the second of each pair as floats.
  FATHOM_SIMD void load_bf16_pairs(const void* p, F& first, F& second) {
    const I pairs = _mm512_loadu_si512(p);
    first = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
    second = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(int(0xffff0000))));
  }
  FATHOM_SIMD void store_bf16(void* p, F x) {  // round to nearest even, no NaN expected
    const I bits = _mm512_castps_si512(x);
    const I odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const I rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    _mm256_storeu_si256(static_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
  }
  FATHOM_SIMD F add(F a, F b) { return _mm512_add_ps(a, b); }
  FATHOM_SIMD F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  FATHOM_SIMD F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  FATHOM_SIMD F div(F a, F b) { return _mm512_div_ps(a, b); }
  FATHOM_SIMD F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  FATHOM_SIMD F max(F a, F b) { return _mm512_max_ps(a, b); }
  FATHOM_SIMD F min(F a, F b) { return _mm512_min_ps(a, b); }
  FATHOM_SIMD F abs(F a) { return _mm512_abs_ps(a); }
  FATHOM_SIMD float reduce_add(F a) { return _mm512_reduce_add_ps(a); }
  // The sum of x[r][c] in lane 4 * r + c, each added up in the order of reduce_add().
  FATHOM_SIMD F reduce_add_tile(const F (&x)[4][4]) {
    F column[4];  // of the four rows, folded to 128 bits each
    for (int c = 0; c < 4; ++c) {
      const F upper = _mm512_add_ps(_mm512_shuffle_f32x4(x[0][c], x[1][c], 0x44),
                                    _mm512_shuffle_f32x4(x[0][c], x[1][c], 0xee));
      const F lower = _mm512_add_ps(_mm512_shuffle_f32x4(x[2][c], x[3][c], 0x44),
                                    _mm512_shuffle_f32x4(x[2][c], x[3][c], 0xee));
      column[c] = _mm512_add_ps(_mm512_shuffle_f32x4(upper, lower, 0x88),
                                _mm512_shuffle_f32x4(upper, lower, 0xdd));
    }
    const __m512d left = _mm512_castps_pd(fold_pairs(column[0], column[1]));
    const __m512d right = _mm512_castps_pd(fold_pairs(column[2], column[3]));
    return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(left, right)),
                         _mm512_castpd_ps(_mm512_unpackhi_pd(left, right)));
  }
  FATHOM_SIMD F fold_pairs(F a, F b) {
    return _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  }
  FATHOM_SIMD float reduce_max(F a) { return _mm512_reduce_max_ps(a); }
  FATHOM_SIMD F round(F a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  FATHOM_SIMD bool any_greater(F x, float limit) {
    return _mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_GT_OQ) != 0;
  }
  // x < limit ? a : b
  FATHOM_SIMD F select_less(F x, float limit, F a, F b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_LT_OQ), b, a);
  }
  // x * 2^n for integral n; 0 where the result underflows.
  FATHOM_SIMD F scale2(F x, F n) {
    const __mmask16 normal = _mm512_cmp_ps_mask(n, _mm512_set1_ps(-126.0f), _CMP_GE_OQ);
    return _mm512_maskz_scalef_ps(normal, x, n);
  }
  // x where position[i] is in (low, high], -inf elsewhere.
  FATHOM_SIMD F mask_positions(F x, I position, int low, int high) {
    const __mmask16 visible = _mm512_cmpgt_epi32_mask(position, _mm512_set1_epi32(low)) &
                              _mm512_cmple_epi32_mask(position, _mm512_set1_epi32(high));
    return _mm512_mask_blend_ps(visible, _mm512_set1_ps(-__builtin_inff()), x);
  }

  // x where bit i is set, -inf elsewhere.
  FATHOM_SIMD F mask_slots(F x, uint32_t bits) {
    return _mm512_mask_blend_ps(static_cast<__mmask16>(bits), _mm512_set1_ps(-__builtin_inff()), x);
  }

  FATHOM_SIMD I round_to_i32(F x) { return _mm512_cvtps_epi32(x); }
  FATHOM_SIMD void store_i8(int8_t* p, I x) {  // values that fit
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x));
  }
  FATHOM_SIMD I add_i32(I a, I b) { return _mm512_add_epi32(a, b); }
  FATHOM_SIMD int reduce_add_i32(I a) { return _mm512_reduce_add_epi32(a); }
  FATHOM_SIMD I set1_i32(int x) { return _mm512_set1_epi32(x); }
  FATHOM_SIMD I load_i32(const int32_t* p) { return _mm512_loadu_si512(p); }
  FATHOM_SIMD I iota(int first) {
    return _mm512_add_epi32(_mm512_set1_epi32(first), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8,
                                                                        9, 10, 11, 12, 13, 14, 15));
  }
  FATHOM_SIMD F to_float(I x) { return _mm512_cvtepi32_ps(x); }
  FATHOM_SIMD F bytes_to_float(const uint8_t* p) {
    return to_float(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  FATHOM_SIMD F signed_bytes_to_float(const uint8_t* p) {
    return to_float(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  FATHOM_SIMD I load_bytes_i32(const uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  FATHOM_SIMD I load_u16_i32(const uint8_t* p) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  FATHOM_SIMD I and_i32(I a, int b) { return _mm512_and_si512(a, _mm512_set1_epi32(b)); }
  FATHOM_SIMD I max_i32(I a, int b) { return _mm512_max_epi32(a, _mm512_set1_epi32(b)); }
  FATHOM_SIMD I min_i32(I a, int b) { return _mm512_min_epi32(a, _mm512_set1_epi32(b)); }
  FATHOM_SIMD I or_i32(I a, I b) { return _mm512_or_si512(a, b); }
  FATHOM_SIMD I sub_i32(I a, int b) { return _mm512_sub_epi32(a, _mm512_set1_epi32(b)); }
  template <int N>
  FATHOM_SIMD I shl_i32(I a) {
    return _mm512_slli_epi32(a, N);
  }
  FATHOM_SIMD I shr_i32(I a, int n) { return _mm512_srl_epi32(a, _mm_cvtsi32_si128(n)); }
  FATHOM_SIMD F bits_to_float(I a) { return _mm512_castsi512_ps(a); }
  // table[index] for indices below 16.
  FATHOM_SIMD F lookup16_float(const float* table, I index) {
    return _mm512_permutexvar_ps(index, _mm512_loadu_ps(table));
  }

  // --- bytes -------------------------------------------------------------------------------
  FATHOM_SIMD B load_bytes(const uint8_t* p) { return _mm512_loadu_si512(p); }
  FATHOM_SIMD void store_bytes(uint8_t* p, B b) { _mm512_storeu_si512(p, b); }
  FATHOM_SIMD B broadcast4(const int8_t* p) {
    return _mm512_set1_epi32(*reinterpret_cast<const int32_t __attribute__((may_alias))*>(p));
  }
  FATHOM_SIMD B and_bytes(B a, int mask) {
    return _mm512_and_si512(a, _mm512_set1_epi8(static_cast<char>(mask)));
  }
  FATHOM_SIMD B or_bytes(B a, B b) { return _mm512_or_si512(a, b); }
  // (a >> n) & mask in every byte; n + bits of mask <= 8.
  template <int N>
  FATHOM_SIMD B shr_and(B a, int mask) {
    return and_bytes(_mm512_srli_epi16(a, N), mask);
  }
  // a << n in every byte. REQUIRES: no bit leaves its byte.
  template <int N>
  FATHOM_SIMD B shl_bytes(B a) {
    return _mm512_slli_epi16(a, N);
  }
  FATHOM_SIMD B lookup16(B index, const uint8_t* table) {
    const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(t), index);
  }
  // Adds `value` to the bytes whose bit is set in a group's mask; `lane` is 0.
  FATHOM_SIMD B add_where(B a, const uint8_t* mask, size_t /*lane*/, int value) {
    uint64_t bits;
    __builtin_memcpy(&bits, mask, 8);
    return _mm512_mask_add_epi8(a, bits, a, _mm512_set1_epi8(static_cast<char>(value)));
  }
  // Base-3 digit n of every byte as TQ1_0 packs them: (byte * 3^n mod 256) * 3 >> 8.
  FATHOM_SIMD B trit(B a, int power) {
    const B even = trit16(_mm512_and_si512(a, _mm512_set1_epi16(0xff)), power);
    const B odd = trit16(_mm512_srli_epi16(a, 8), power);
    return _mm512_or_si512(even, _mm512_slli_epi16(odd, 8));
  }
  FATHOM_SIMD B trit16(B a, int power) {
    const B low =
        _mm512_and_si512(_mm512_mullo_epi16(a, _mm512_set1_epi16(static_cast<short>(power))),
                         _mm512_set1_epi16(0xff));
    return _mm512_srli_epi16(_mm512_mullo_epi16(low, _mm512_set1_epi16(3)), 8);
  }
  // Signed codes in the form that IntDot takes, and what that form adds to each code.
  FATHOM_SIMD B from_signed(B a) { return _mm512_xor_si512(a, _mm512_set1_epi8(char(-128))); }
  static constexpr int kSignedOffset = 128;

  // Sum over groups of 4 of code * activation, 16 rows at once, in `sum`. kMaxCode bounds the
  // codes.
  template <int kMaxCode>
  struct IntDot {
    template <size_t kGroup>
    FATHOM_SIMD void add(I& sum, I& /*partial*/, B codes, B activations) {
      sum = _mm512_dpbusd_epi32(sum, codes, activations);
    }
    FATHOM_SIMD I finish(I sum, I /*partial*/) { return sum; }
  };

  // Shapes that fit 32 registers.
  static constexpr int kDirectBatch = 8;  // tokens that share the unpacking of codes
  static constexpr int kExpandVectors = 2, kExpandTokens = 6;  // int8 product of an expansion
  static constexpr int kFloatVectors = 4, kFloatTokens = 6;    // float product
  static constexpr int kScoreRows = 6, kScoreVectors = 4;      // attention

 private:
  FATHOM_SIMD __mmask16 first(size_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
};

}  // namespace fathom::kernel
