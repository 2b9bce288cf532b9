// ZipVL: as many tokens as hold a share of the attention, in each layer as many as it takes.
//
// ZipVL: Efficient Large Vision-Language Models with Dynamic Token Sparsification, 2024,
// arXiv:2410.08584; unchecked: no code of the authors was found. The chunk's last and as many
// evenly spread queries are probes. The number of tokens is the smallest whose attention, summed
// over the probes, reaches `tau` of it; which tokens: those with the largest mean over the probes
// that see them, so that early tokens gain nothing by being seen more often. Different from the
// paper: a set for each kv head instead of one for a layer (heads of one group share it), and
// queries that were not chosen are not left without attention: all queries read the chosen keys,
// the first ones and those of their own block.
#pragma once

#include <memory>
#include <vector>

#include "kv/method.h"
#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

struct ZipVLArgs {
  double tau = 0.975;
  size_t probes = 64;  // last queries, and as many spread ones
};
// Indices of the tokens that all heads of the group read, ascending.
std::vector<int32_t> zipvl_tokens(const PrefillView& view, const ZipVLArgs& args);

const MethodInfo& zipvl_info();
std::unique_ptr<const PrefillPolicy> make_zipvl(const Parameters& parameters);

}  // namespace fathom::kv
