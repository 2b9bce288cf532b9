// XAttention: estimates the attention of a block by sums along antidiagonals and reads, for each
// block of queries, the fewest blocks of keys that hold a share of the estimate.
//
// XAttention: Block Sparse Attention with Antidiagonal Scoring, 2025, arXiv:2503.16428; checked
// against its repository. With stride S a group of S queries, taken backwards, and a group of S
// keys are one product of S * head_dim numbers, which is the mean score of an antidiagonal: 1/S of
// the work of all scores. The repository's stride is 8 or 16; 16 is the default here, since a
// processor feels the estimate more. Block 0 and the diagonal block are always read. One threshold
// for all heads (the repository also has tables of them).
#pragma once

#include <memory>
#include <vector>

#include "kv/method.h"
#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

struct XAttentionArgs {
  size_t block = 128, stride = 16;
  double threshold = 0.9;
};

// Estimated attention of the chunk's block b to block k of keys, sums[b * key blocks + k], 0 above
// the diagonal; a block of queries sums to block / stride. Queries that the chunk has not, as those
// before its begin, count as 0; groups without a query count nothing.
std::vector<float> xattention_sums(const PrefillView& view, size_t group_head,
                                   const XAttentionArgs& args);

const MethodInfo& xattention_info();
std::unique_ptr<const PrefillPolicy> make_xattention(const Parameters& parameters);

}  // namespace fathom::kv
