// What this instruction set gives to the table of kernels (kernels.cpp).
#pragma once

#include "kernel/kernels.h"

namespace fathom::kernel {

MatmulFn avx512_matmul(TensorType type);
AttendFn avx512_attend(KvFormat format);
extern const ElementwiseKernels avx512_elementwise;
extern const ScoreKernels avx512_score;
extern const LimitKernels avx512_limits;

}  // namespace fathom::kernel
