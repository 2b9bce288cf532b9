// AnchorAttention: reads every key whose score comes near the largest score that a query finds
// among the first keys and its neighbours, its anchor.
//
// AnchorAttention: Difference-Aware Sparse Attention with Stripe Granularity, 2025,
// arXiv:2505.23520; unchecked: the method's kernel source was read, but its repository could not be
// verified and no result of it was at hand. `step` blocks of queries are one super-block and share
// one list of keys. Every query reads the first block and the keys from the beginning of its
// super-block on; the largest score there is its anchor. A key between them is read if, for the
// means of any of the super-block's blocks, the score is at least the mean anchor less theta. The
// kernel that was read counts some keys twice and skips others; here every key belongs to one part.
#pragma once

#include <memory>

#include "kv/method.h"
#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

const MethodInfo& anchor_info();
std::unique_ptr<const PrefillPolicy> make_anchor(const Parameters& parameters);

}  // namespace fathom::kv
