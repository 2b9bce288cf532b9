// What this instruction set gives to the table of kernels (kernels.cpp).
#pragma once

#include "kernel/kernels.h"

namespace fathom::kernel {

MatmulFn avx2_matmul(TensorType type);
AttendFn avx2_attend(KvFormat format);
extern const ElementwiseKernels avx2_elementwise;
extern const ScoreKernels avx2_score;
extern const LimitKernels avx2_limits;

}  // namespace fathom::kernel
