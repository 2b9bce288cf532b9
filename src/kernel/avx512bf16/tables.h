// What AVX-512 with BF16 does differently from AVX-512: products of BF16 weights and caches.
#pragma once

#include "kernel/kernels.h"

namespace fathom::kernel {

MatmulFn avx512bf16_matmul(TensorType type);
AttendFn avx512bf16_attend(KvFormat format);
void (*avx512bf16_rounded_scores())(const RoundedScoreArgs&);
double avx512bf16_rounds(size_t n);  // for LimitKernels

}  // namespace fathom::kernel
