// The attention of a chunk's last queries, which stands for that of all of them: where a probe
// finds a column or a diagonal, the other queries are taken to find it too (MInference,
// FlexPrefill).
#pragma once

#include <vector>

#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

// Attention, with the head's soft cap and window, of the last min(probes, queries) queries of the
// chunk, summed over them.
struct ProbeSums {
  size_t probes = 0;
  std::vector<float> columns;  // [tokens]: to key j
  std::vector<float> offsets;  // [tokens]: to the key at distance o, 0 being the query itself
};
ProbeSums probe_sums(const PrefillView& view, size_t group_head, size_t probes);

}  // namespace fathom::kv
