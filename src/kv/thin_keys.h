// Attention over pages of which some have thin keys (kv/store/think.h).
#pragma once

#include "kernel/kernels.h"

namespace fathom::kv {

// As the kernel of args.format; `args` has queries of all channels. Pages with the same channels
// that follow each other are read together, by queries that have only these.
void attend_pages(const kernel::Kernels& kernels, const kernel::AttendArgs& args);

}  // namespace fathom::kv
