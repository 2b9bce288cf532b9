#include "kernel/generic/score.h"
#include "kernel/avx512/simd.h"
#include "kernel/avx512/tables.h"

namespace fathom::kernel {

const ScoreKernels avx512_score = score_of<Avx512>();

}  // namespace fathom::kernel
