// SnapKV: each kv head keeps the tokens that the prompt's last queries attend to, smoothed along
// the text so that a token brings its neighbours, and the window of those queries.
//
// Li et al., "SnapKV: LLM Knows What You are Looking for Before Generation", 2024,
// arXiv:2404.14469. Checked against the authors' repository (per query head, average pooling 5),
// kvpress (group mean) and AdaKV's (maximum pooling 7): the scores and kept sets are equal.
#pragma once

#include "kv/keep/scorer.h"
#include "kv/method.h"

namespace fathom::kv {

struct SnapKvOptions {
  size_t window = 32;  // last queries that vote
  Pooling pooling = Pooling::kMax;
  size_t kernel = 7;
};

// score[t] = pooled mean, over the window's queries and the group, of the attention to t. Pooling
// ends where the tokens that stay anyway begin.
ScorerPtr snapkv_scorer(SnapKvOptions options);

MethodInfo snapkv_info();
std::unique_ptr<const KeepPolicy> make_snapkv(const Parameters& p);

Pooling pooling_of(std::string_view name);  // "avg", "max"

}  // namespace fathom::kv
