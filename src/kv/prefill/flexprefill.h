// FlexPrefill: decides for each head and prompt between columns with diagonals and blocks with like
// means, and takes as many as cover a share of the attention.
//
// FlexPrefill: A Context-Aware Sparse Attention Mechanism for Efficient Long-Sequence Inference,
// 2025, arXiv:2502.20766; checked against its repository. The probe is the last block of queries
// (of the chunk, where the prompt is read in chunks; the pooled map then covers the chunk's rows).
// As in the repository, budgets are counted in 128 tokens whatever the block, and a distance of o
// tokens counts for blocks o / block apart. Prompts up to min_budget or two blocks are read
// densely.
#pragma once

#include <memory>
#include <vector>

#include "kv/method.h"
#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

struct FlexPrefillArgs {
  size_t block = 128;
  double gamma = 0.9;       // share of the attention to cover
  double tau = 0.1;         // divergence below which block means are trusted
  size_t min_budget = 512;  // tokens
};

// What is decided of a query head.
struct FlexPrefillChoice {
  double divergence = 0;              // square root of the Jensen-Shannon divergence
  size_t columns = 0, diagonals = 0;  // budgets in blocks
  std::vector<uint8_t> mask;  // [blocks of the chunk][key blocks], nothing above the diagonal
};
FlexPrefillChoice flexprefill_choice(const PrefillView& view, size_t group_head,
                                     const FlexPrefillArgs& args);

const MethodInfo& flexprefill_info();
std::unique_ptr<const PrefillPolicy> make_flexprefill(const Parameters& parameters);

}  // namespace fathom::kv
