// HiP: finds the keys of each block of queries by a tree search that looks at a few keys a level,
// taking neighbours to score alike.
//
// A Training-free Sub-quadratic Cost Transformer Model Serving Framework with Hierarchically Pruned
// Attention, 2024, arXiv:2406.09827; written from the method card, no code taken (the official code
// is source-available only), and unchecked: no result of that code was at hand. The past before the
// window is cut into k / key_block even intervals; each is split in two, each half is scored by the
// largest product of its first block of keys with every `stride`-th query, the best halves stay,
// until all are single blocks. Sinks and window are read in whole pages of 64. A lone key whose
// neighbours are unlike it can be lost at the first level.
#pragma once

#include <memory>

#include "kv/method.h"
#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

const MethodInfo& hip_info();
std::unique_ptr<const PrefillPolicy> make_hip(const Parameters& parameters);

}  // namespace fathom::kv
