#include "kernel/generic/elementwise.h"
#include "kernel/avx2/simd.h"
#include "kernel/avx2/tables.h"

namespace fathom::kernel {

const ElementwiseKernels avx2_elementwise = elementwise_of<Avx2>();

}  // namespace fathom::kernel
