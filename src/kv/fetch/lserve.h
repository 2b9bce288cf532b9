// LServe's page selector: pages of 64 are read, but judged by the best of their logical pages of
// 16, whose bounds are tight; a choice serves several steps.
//
// Yang et al., "LServe: Efficient Long-sequence LLM Serving with Unified Sparse Attention", 2025,
// arXiv:2502.14866. Checked against the authors' selector: page scores and pages are equal. Its
// streaming heads are keep=duo.
#pragma once

#include "kv/fetch/fetch_policy.h"
#include "kv/method.h"

namespace fathom::kv {

MethodInfo lserve_fetch_info();
std::unique_ptr<const FetchPolicy> make_lserve_fetch(const Parameters& p);

}  // namespace fathom::kv
