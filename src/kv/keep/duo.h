// DuoAttention: retrieval heads, which a table names, keep everything; streaming heads keep sinks
// and a window.
//
// Xiao et al., "DuoAttention: Efficient Long-Context LLM Inference with Retrieval and Streaming
// Heads", 2024, arXiv:2410.10819. Checked against the authors' code: full heads of a table, and
// outputs while decoding. The table is made once a model, by training gates or by measuring which
// heads copy from the context.
#pragma once

#include <memory>

#include "kv/keep/keep_policy.h"
#include "kv/method.h"

namespace fathom::kv {

MethodInfo duo_info();
std::unique_ptr<const KeepPolicy> make_duo(const Parameters& p);

}  // namespace fathom::kv
