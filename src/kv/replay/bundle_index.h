// What each query reads of a policy's bundles, for attention by definition (attend_lists.h).
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

class BundleIndex {
 public:
  // `bundles` must outlive this.
  explicit BundleIndex(const Bundles& bundles);

  // Appends what the query of a head of the group reads: the bundles' own keys, each once, then
  // sampled ones, some of them repeatedly. `weights` holds 1 or a sample's weight for each.
  void append(size_t head, size_t query, std::vector<int32_t>& keys,
              std::vector<float>& weights) const;

 private:
  const Bundles* bundles_;
  std::unordered_map<uint64_t, std::vector<const Bundle*>> of_row_;
};

// The sampled keys that the rows of a bundle see.
std::vector<int32_t> seen_sample(const Bundles& bundles, const Bundle& bundle);

}  // namespace fathom::kv
