// The scalar kernels: the definition that every other instruction set is tested against.
#pragma once

#include "kernel/kernels.h"

namespace fathom::kernel {

MatmulFn scalar_matmul(TensorType type);
AttendFn scalar_attend(KvFormat format);
extern const ElementwiseKernels scalar_elementwise;
extern const ScoreKernels scalar_score;
extern const LimitKernels scalar_limits;

}  // namespace fathom::kernel
