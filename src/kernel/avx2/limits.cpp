#include "kernel/avx2/tables.h"
#include "kernel/generic/inline.h"

#include <immintrin.h>

namespace fathom::kernel {
namespace {

constexpr int kChains = 12;

FATHOM_INLINE void sink(__m256i v) { asm volatile("" : : "v"(v)); }

// The int8 product of AVX2 is two instructions and an addition.
double int8_rounds(size_t n) {
  __m256i sum[kChains];
  for (__m256i& s : sum) s = _mm256_setzero_si256();
  __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5), ones = _mm256_set1_epi16(1);
  for (size_t i = 0; i < n; ++i) {
    asm volatile("" : "+v"(a), "+v"(b), "+v"(ones));
    _Pragma("GCC unroll 12") for (int c = 0; c < kChains; ++c) {
      const __m256i products = _mm256_maddubs_epi16(a, b);
      sum[c] = _mm256_add_epi32(sum[c], _mm256_madd_epi16(products, ones));
      asm volatile("" : "+v"(a));
    }
  }
  for (const __m256i& s : sum) sink(s);
  return static_cast<double>(n) * kChains * 32;
}

double f32_rounds(size_t n) {
  __m256 sum[kChains];
  for (__m256& s : sum) s = _mm256_setzero_ps();
  __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
  for (size_t i = 0; i < n; ++i) {
    asm volatile("" : "+v"(a), "+v"(b));
    _Pragma("GCC unroll 12") for (int c = 0; c < kChains; ++c) sum[c] =
        _mm256_fmadd_ps(a, b, sum[c]);
  }
  for (const __m256& s : sum) sink(_mm256_castps_si256(s));
  return static_cast<double>(n) * kChains * 8;
}

uint64_t read_bytes(const std::byte* data, size_t n) {
  __m256i sum[8];
  for (__m256i& s : sum) s = _mm256_setzero_si256();
  for (size_t i = 0; i < n; i += 256) {
    _Pragma("GCC unroll 8") for (size_t j = 0; j < 8; ++j) {
      const __m256i* p = reinterpret_cast<const __m256i*>(data + i + 32 * j);
      sum[j] = _mm256_xor_si256(sum[j], _mm256_loadu_si256(p));
    }
  }
  for (int j = 1; j < 8; ++j) sum[0] = _mm256_xor_si256(sum[0], sum[j]);
  return static_cast<uint64_t>(_mm256_extract_epi64(sum[0], 0) ^ _mm256_extract_epi64(sum[0], 3));
}

}  // namespace

const LimitKernels avx2_limits = {int8_rounds, nullptr, f32_rounds, read_bytes};

}  // namespace fathom::kernel
