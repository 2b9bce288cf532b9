#include "kernel/avx512/simd.h"
#include "kernel/avx512/tables.h"
#include "kernel/generic/matmul_table.h"

namespace fathom::kernel {

MatmulFn avx512_matmul(TensorType type) { return matmul_of<Avx512>(type); }

}  // namespace fathom::kernel
