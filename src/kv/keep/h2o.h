// H2O: heavy hitters, the tokens that have received most attention from all queries so far, and a
// recent window; kept at a fixed size while decoding.
//
// Zhang et al., "H2O: Heavy-Hitter Oracle for Efficient Generative Inference of Large Language
// Models", 2023, arXiv:2306.14048. Checked against the authors' eviction class, with weights
// averaged over the group: sums, kept sets after the prompt and after each step are equal. Their
// simulation, which masks instead of evicting, differs by one position and is not what we do.
#pragma once

#include "kv/keep/scorer.h"
#include "kv/method.h"

namespace fathom::kv {

// Sums favour early tokens, which more queries have seen; the mean divides by how many could.
enum class ReceivedNorm : uint8_t { kSum, kMean };

// score[t] = attention received, KeepView::received.
ScorerPtr received_scorer(ReceivedNorm norm);

MethodInfo h2o_info();
std::unique_ptr<const KeepPolicy> make_h2o(const Parameters& p);

}  // namespace fathom::kv
