// Quest: reads the pages whose keys could have the largest product with the query, by the bounds of
// each channel.
//
// Tang et al., "Quest: Query-Aware Sparsity for Efficient Long-Context LLM Inference", 2024,
// arXiv:2406.10774. Checked against the authors' evaluation code, which chooses for every query
// head by itself and forces no page: bounds, pages of 16 and of 64, and outputs are equal.
#pragma once

#include "kv/fetch/fetch_policy.h"
#include "kv/method.h"

namespace fathom::kv {

MethodInfo quest_info();
std::unique_ptr<const FetchPolicy> make_quest(const Parameters& p);

}  // namespace fathom::kv
