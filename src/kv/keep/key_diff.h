// KeyDiff: tokens whose keys differ most from the average direction stay.
//
// Park et al., "KeyDiff: Key Similarity-Based KV Cache Eviction for Long-Context LLM Inference in
// Resource-Constrained Environments", 2025, arXiv:2504.15364. Checked against kvpress: scores and
// kept sets are equal.
#pragma once

#include "kv/keep/scorer.h"
#include "kv/method.h"

namespace fathom::kv {

// score[t] = -cos(k_t, mean of the normalised keys)
ScorerPtr key_diff_scorer();

MethodInfo key_diff_info();
std::unique_ptr<const KeepPolicy> make_key_diff(const Parameters& p);

}  // namespace fathom::kv
