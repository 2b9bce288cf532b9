// TOVA: the cache is a state of fixed size; the token that the last query attends to least goes.
//
// Oren et al., "Transformers are Multi-State RNNs", 2024, arXiv:2401.06104. Checked against
// kvpress: scores and kept set are equal.
#pragma once

#include "kv/keep/scorer.h"
#include "kv/method.h"

namespace fathom::kv {

// score[t] = attention of the last query to t, mean over all query heads of the layer: its kv heads
// keep the same tokens. Where they do not hold the same tokens, the mean over the group.
ScorerPtr tova_scorer();

MethodInfo tova_info();
std::unique_ptr<const KeepPolicy> make_tova(const Parameters& p);

}  // namespace fathom::kv
