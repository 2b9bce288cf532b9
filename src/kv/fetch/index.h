// Index: the first keys, the last ones, and those in between that a graph of keys finds to have the
// largest products with the query.
//
// After Liu et al., "RetrievalAttention: Accelerating Long-Context LLM Inference via Vector
// Retrieval", 2024, arXiv:2409.10516. Unchecked against the authors' code. They link keys that the
// prompt's queries have in common; here hnswlib links keys by their products with each other, with
// which a search has to look at more keys, they report.
//
// The graph holds a copy of its keys. It is built with a fixed seed in the order of the keys, by
// one thread, so it does not depend on how the head grew. Keys enter it when they leave the window.
// Going back by no more than `local` keeps it as it is: it then holds keys of the window, too, and
// a search may find other keys than in a fresh graph. Going back further builds it anew.
#pragma once

#include "kv/fetch/fetch_policy.h"
#include "kv/method.h"

namespace fathom::kv {

MethodInfo index_info();
std::unique_ptr<const FetchPolicy> make_index_fetch(const Parameters& p);

}  // namespace fathom::kv
