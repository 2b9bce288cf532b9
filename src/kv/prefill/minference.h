// MInference: each query head has one of three patterns, chosen once for a model, and what the
// pattern needs is found for each prompt.
//
// MInference 1.0: Accelerating Pre-filling for Long-Context LLMs via Dynamic Sparse Attention,
// 2024, arXiv:2407.02490; checked against its repository.
//
//   vertical_slash  the columns and diagonals with the largest attention of the last 64 queries;
//                   columns 0..29 and diagonals 0..99 always
//   block_sparse    for each block of 64 queries the blocks of keys with the largest products of
//                   means; the block of keys 0 and the diagonal always (ours: the repository forces
//                   neither)
//   stream_llm      A-shape
//
// A head's pattern comes from a table in the repository's JSON form: a list over layers of
// {"head": [pattern, size, size, score]}; without a table all heads have the one that is named. A
// prompt read in chunks is probed by the last queries of each chunk, where the paper probes with
// those of the prompt.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kv/method.h"
#include "kv/prefill/minference_table.h"
#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

inline constexpr size_t kMInferenceProbes = 64;

// The forced and the largest columns and offsets, ascending.
struct VerticalSlash {
  std::vector<int32_t> columns, offsets;
};
VerticalSlash vertical_slash(const PrefillView& view, size_t group_head, size_t columns,
                             size_t offsets);
// What the block of 64 queries that ends before index `end` reads: for each offset the span of keys
// that its diagonal crosses, fused where they touch and cut into pieces, and the columns outside of
// them. Pieces are not aligned. Only what begins before `limit` is listed.
void list_vertical_slash(const VerticalSlash& chosen, size_t end, size_t limit, RowList& out);

// Products of the means of the chunk's blocks of 64 queries with those of 64 keys,
// [blocks][key blocks], unscaled; 0 above the diagonal.
std::vector<float> pooled_products(const PrefillView& view, size_t group_head);

const MethodInfo& minference_info();
// Throws Error(kBadFile) for a table that is none.
std::unique_ptr<const PrefillPolicy> make_minference(const Parameters& parameters);
// The same pattern for all heads.
std::unique_ptr<const PrefillPolicy> make_minference(const MInferenceHead& head);

}  // namespace fathom::kv
