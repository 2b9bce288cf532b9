// Scissorhands: counts how often a token was less than averagely attended to of late, and drops the
// worst in bulk.
//
// Liu et al., "Scissorhands: Exploiting the Persistence of Importance Hypothesis for LLM KV Cache
// Compression at Test Time", 2023, arXiv:2305.17118. Unchecked: no code by the authors was found;
// after the paper as remembered. Ours: weights are averaged over the group, counts are taken anew
// from the last queries instead of being carried along, and every layer has the same budget.
#pragma once

#include "kv/keep/scorer.h"
#include "kv/method.h"

namespace fathom::kv {

// score[t] = -(last queries for which t got less than 1 / visible tokens); of equal counts the
// older goes first, as far as half a count in f32 tells positions apart.
ScorerPtr scissorhands_scorer(size_t window);

MethodInfo scissorhands_info();
std::unique_ptr<const KeepPolicy> make_scissorhands(const Parameters& p);

}  // namespace fathom::kv
