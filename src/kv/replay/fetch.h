// What a FETCH policy decides on a recording: which keys each decode step's query reads.
#pragma once

#include <vector>

#include "kv/fetch/fetch_policy.h"
#include "kv/fetch/runs.h"
#include "kv/replay/recording.h"

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

struct FetchDecision {
  // [steps][kv heads][lists]: one list, or one for each query head of the group.
  std::vector<std::vector<std::vector<Runs>>> fetched_positions;
  double share_read = 1.0;  // keys read of those there are: mean over steps, heads and lists
  size_t index_bytes = 0;   // of all kv heads, after the last step
};
// Throws Error(kUsage) where the policy needs what the recording does not hold.
FetchDecision replay_fetch(const FetchPolicy& policy, const Recording& recording);

}  // namespace fathom::kv
