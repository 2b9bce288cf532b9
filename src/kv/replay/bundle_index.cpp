#include "kv/replay/bundle_index.h"

namespace fathom::kv {
namespace {

uint64_t row_key(size_t head, size_t query) { return uint64_t{head} << 32 | query; }

}  // namespace

BundleIndex::BundleIndex(const Bundles& bundles) : bundles_(&bundles) {
  for (const std::vector<Bundle>& round : bundles.rounds) {
    for (const Bundle& bundle : round) {
      for (const Bundle::Row& row : bundle.rows) {
        of_row_[row_key(row.head, row.query)].push_back(&bundle);
      }
    }
  }
}

void BundleIndex::append(size_t head, size_t query, std::vector<int32_t>& keys,
                         std::vector<float>& weights) const {
  const auto found = of_row_.find(row_key(head, query));
  weights.resize(keys.size(), 1.0f);
  if (found == of_row_.end()) return;
  for (const Bundle* bundle : found->second) {
    keys.insert(keys.end(), bundle->keys.begin(), bundle->keys.end());
  }
  weights.resize(keys.size(), 1.0f);
  for (const Bundle* bundle : found->second) {
    const std::vector<int32_t> sample = seen_sample(*bundles_, *bundle);
    keys.insert(keys.end(), sample.begin(), sample.end());
    weights.resize(keys.size(), bundles_->samples[bundle->sample].weight);
  }
}

std::vector<int32_t> seen_sample(const Bundles& bundles, const Bundle& bundle) {
  const std::vector<int32_t>& keys = bundles.samples[bundle.sample].keys;
  std::vector<int32_t> out;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (bundle.seen[i / 64] >> (i % 64) & 1) out.push_back(keys[i]);
  }
  return out;
}

}  // namespace fathom::kv
