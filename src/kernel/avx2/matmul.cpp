#include "kernel/avx2/simd.h"
#include "kernel/avx2/tables.h"
#include "kernel/generic/matmul_table.h"

namespace fathom::kernel {

MatmulFn avx2_matmul(TensorType type) { return matmul_of<Avx2>(type); }

}  // namespace fathom::kernel
