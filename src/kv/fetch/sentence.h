// SentenceKV: sentences are known by their mean keys and read whole; the query is the mean of those
// of the sentence being written.
//
// Zhu et al., "SentenceKV: Efficient LLM Inference via Sentence-Level Semantic KV Caching", 2025,
// arXiv:2504.00970. Unchecked against the authors' outputs; their code as described, with one mean
// a kv head instead of a query head, real sentence boundaries (text/sentence.h) instead of
// punctuation tokens, and no filter before it: what is kept is KEEP's business. As theirs, the
// first query of a sentence reads everything.
#pragma once

#include "kv/fetch/fetch_policy.h"
#include "kv/method.h"

namespace fathom::kv {

MethodInfo sentence_info();
std::unique_ptr<const FetchPolicy> make_sentence(const Parameters& p);

}  // namespace fathom::kv
