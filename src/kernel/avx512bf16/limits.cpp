#include "kernel/avx512bf16/tables.h"
#include "kernel/generic/inline.h"

#include <immintrin.h>

namespace fathom::kernel {
namespace {

constexpr int kChains = 16;

}  // namespace

double avx512bf16_rounds(size_t n) {
  __m512 sum[kChains];
  for (__m512& s : sum) s = _mm512_setzero_ps();
  __m512i a = _mm512_set1_epi16(0x3f00), b = _mm512_set1_epi16(0x3e80);
  for (size_t i = 0; i < n; ++i) {
    asm volatile("" : "+v"(a), "+v"(b));
    _Pragma("GCC unroll 16") for (int c = 0; c < kChains; ++c) {
      sum[c] =
          _mm512_dpbf16_ps(sum[c], reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
    }
  }
  for (const __m512& s : sum) asm volatile("" : : "v"(s));
  return static_cast<double>(n) * kChains * 32;
}

}  // namespace fathom::kernel
