// Recycled attention: now and then a step reads every key and remembers those with most weight; the
// steps between read these and what was written since.
//
// Xu et al., "Recycled Attention: Efficient inference for long-context language models", 2024,
// arXiv:2411.05787. Unchecked: no code by the authors was seen; the fixed schedule, as described.
// Ours: weights are summed over the group, the last `recent` keys are never forgotten, and keys are
// remembered in blocks, which a step reads together with all that was written since. Single keys
// (block 1) are as published: every step forgets the one with least weight; but they lie in so many
// pages that little is saved.
#pragma once

#include "kv/fetch/fetch_policy.h"
#include "kv/method.h"

namespace fathom::kv {

MethodInfo recycled_info();
std::unique_ptr<const FetchPolicy> make_recycled(const Parameters& p);

}  // namespace fathom::kv
