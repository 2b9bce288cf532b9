// RazorAttention: retrieval heads, which a table names, keep everything; the others keep sinks, a
// window, and one compensation token that stands for all that was dropped: the mean of its keys and
// of its values, its logit raised by the logarithm of their number.
//
// Tang et al., "RazorAttention: Efficient KV Cache Compression Through Retrieval Heads", 2024,
// arXiv:2407.15891. Unchecked: there is no code by the authors; after the paper, with the
// compensation weight as published. Dropping equal keys is exact.
#pragma once

#include <memory>

#include "kv/keep/keep_policy.h"
#include "kv/method.h"

namespace fathom::kv {

MethodInfo razor_info();
std::unique_ptr<const KeepPolicy> make_razor(const Parameters& p);

}  // namespace fathom::kv
