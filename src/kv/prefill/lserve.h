// LServe, prefill: some kv heads read everything, the others are streaming heads, which read the
// first keys and a window, exact to the token.
//
// LServe: Efficient Long-sequence LLM Serving with Unified Sparse Attention, 2025,
// arXiv:2502.14866, with the heads of DuoAttention, 2024, arXiv:2410.10819; masks and the choice of
// heads checked against their repositories. Which heads stream comes from a table
// (kv/head_table.h): the `share` of them with the smallest values, over all layers
// together. Without a table all of them stream.
#pragma once

#include <memory>

#include "kv/method.h"
#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

const MethodInfo& lserve_info();
// Throws Error(kBadFile) for a table that is none; select() throws Error(kUnsupported) for a model
// with more layers or heads than the table has.
std::unique_ptr<const PrefillPolicy> make_lserve(const Parameters& parameters);

}  // namespace fathom::kv
