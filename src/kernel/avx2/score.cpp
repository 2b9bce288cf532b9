#include "kernel/generic/score.h"
#include "kernel/avx2/simd.h"
#include "kernel/avx2/tables.h"

namespace fathom::kernel {

const ScoreKernels avx2_score = score_of<Avx2>();

}  // namespace fathom::kernel
