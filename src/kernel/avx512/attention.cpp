#include "kernel/generic/attention.h"
#include "kernel/avx512/simd.h"
#include "kernel/avx512/tables.h"

namespace fathom::kernel {

AttendFn avx512_attend(KvFormat format) { return attend_of<Avx512>(format); }

}  // namespace fathom::kernel
