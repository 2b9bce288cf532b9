#include "kernel/avx512/tables.h"
#include "kernel/generic/inline.h"

#include <immintrin.h>

namespace fathom::kernel {
namespace {

constexpr int kChains = 16;  // enough to hide the latency of any multiply-add

// Keeps values alive without storing them.
FATHOM_INLINE void sink(__m512i v) { asm volatile("" : : "v"(v)); }

double int8_rounds(size_t n) {
  __m512i sum[kChains];
  for (__m512i& s : sum) s = _mm512_setzero_si512();
  __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
  for (size_t i = 0; i < n; ++i) {
    asm volatile("" : "+v"(a), "+v"(b));
    _Pragma("GCC unroll 16") for (int c = 0; c < kChains; ++c) sum[c] =
        _mm512_dpbusd_epi32(sum[c], a, b);
  }
  for (const __m512i& s : sum) sink(s);
  return static_cast<double>(n) * kChains * 64;
}

double f32_rounds(size_t n) {
  __m512 sum[kChains];
  for (__m512& s : sum) s = _mm512_setzero_ps();
  __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
  for (size_t i = 0; i < n; ++i) {
    asm volatile("" : "+v"(a), "+v"(b));
    _Pragma("GCC unroll 16") for (int c = 0; c < kChains; ++c) sum[c] =
        _mm512_fmadd_ps(a, b, sum[c]);
  }
  for (const __m512& s : sum) sink(_mm512_castps_si512(s));
  return static_cast<double>(n) * kChains * 16;
}

uint64_t read_bytes(const std::byte* data, size_t n) {
  __m512i sum[8];
  for (__m512i& s : sum) s = _mm512_setzero_si512();
  for (size_t i = 0; i < n; i += 512) {
    _Pragma("GCC unroll 8") for (size_t j = 0; j < 8; ++j) {
      sum[j] = _mm512_xor_si512(sum[j], _mm512_loadu_si512(data + i + 64 * j));
    }
  }
  for (int j = 1; j < 8; ++j) sum[0] = _mm512_xor_si512(sum[0], sum[j]);
  return static_cast<uint64_t>(_mm512_reduce_add_epi64(sum[0]));
}

}  // namespace

const LimitKernels avx512_limits = {int8_rounds, nullptr, f32_rounds, read_bytes};

}  // namespace fathom::kernel
