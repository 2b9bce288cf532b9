#include "kernel/generic/attention.h"
#include "kernel/avx2/simd.h"
#include "kernel/avx2/tables.h"

namespace fathom::kernel {

AttendFn avx2_attend(KvFormat format) { return attend_of<Avx2>(format); }

}  // namespace fathom::kernel
