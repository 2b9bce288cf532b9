// SirLLM: sinks, a recent window, and between them the tokens that surprised the model most.
//
// Yao et al., "SirLLM: Streaming Infinite Retentive LLM", 2024, arXiv:2405.12528. Unchecked against
// the authors' code, which reads each token's probability one place too far; ours uses
// -log p(token | those before it). A conversation's turns are not known here, so scores do not fade
// (decay 1).
#pragma once

#include "kv/keep/scorer.h"
#include "kv/method.h"

namespace fathom::kv {

// score[t] = surprise of t; the same for all layers and heads.
ScorerPtr surprise_scorer();

MethodInfo sirllm_info();
std::unique_ptr<const KeepPolicy> make_sirllm(const Parameters& p);

}  // namespace fathom::kv
