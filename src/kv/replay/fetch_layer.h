// The indices of a layer's heads under a FETCH policy.
#pragma once

#include <vector>

#include "kv/fetch/fetch_policy.h"
#include "kv/fetch/runs.h"

namespace fathom::kv {

// Indices of a layer's heads, called in the order that fetch_policy.h promises.
class FetchLayer {
 public:
  FetchLayer(const FetchPolicy& policy, size_t kv_heads);

  size_t lists(size_t group) const { return needs_.per_query_head ? group : 1; }
  FetchIndex& index(size_t kv_head) { return *indices_[kv_head]; }
  // A block of the prompt's queries, as long as needs().observed asks for. `heads` are grown.
  void read_prompt(std::span<const HeadView> heads, std::span<const QueryView> queries);
  // One step: out[kv head][list]. `heads` hold the query's own token.
  std::vector<std::vector<Runs>> step(std::span<const HeadView> heads,
                                      std::span<const QueryView> queries);

 private:
  std::span<const float> agree(std::span<const HeadView> heads, std::span<const QueryView> queries);

  FetchNeeds needs_;
  std::vector<std::unique_ptr<FetchIndex>> indices_;
  std::vector<float> agreed_;
};

}  // namespace fathom::kv
