#include "kernel/generic/elementwise.h"
#include "kernel/avx512/simd.h"
#include "kernel/avx512/tables.h"

namespace fathom::kernel {

const ElementwiseKernels avx512_elementwise = elementwise_of<Avx512>();

}  // namespace fathom::kernel
