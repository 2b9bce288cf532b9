// Key norms: tokens with small keys stay; they attract attention from most queries.
//
// Devoto et al., "A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression", 2024,
// arXiv:2406.11430. Checked against kvpress: scores and kept sets are equal.
#pragma once

#include "kv/keep/scorer.h"
#include "kv/method.h"

namespace fathom::kv {

// score[t] = -|k_t|. Not comparable between heads.
ScorerPtr key_norm_scorer();

MethodInfo key_norm_info();
std::unique_ptr<const KeepPolicy> make_key_norm(const Parameters& p);

}  // namespace fathom::kv
