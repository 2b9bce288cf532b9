#include "kv/replay/fetch_layer.h"

namespace fathom::kv {
FetchLayer::FetchLayer(const FetchPolicy& policy, size_t kv_heads) : needs_(policy.needs()) {
  for (size_t h = 0; h < kv_heads; ++h) indices_.push_back(policy.make_index());
}

std::span<const float> FetchLayer::agree(std::span<const HeadView> heads,
                                         std::span<const QueryView> queries) {
  agreed_.clear();
  for (size_t h = 0; h < heads.size() && needs_.joint; ++h) {
    indices_[h]->rank(heads[h], queries[h], agreed_);
  }
  return agreed_;
}

void FetchLayer::read_prompt(std::span<const HeadView> heads, std::span<const QueryView> queries) {
  for (size_t h = 0; h < heads.size(); ++h) indices_[h]->update(heads[h]);
  if (needs_.observed == 0) return;
  const std::span<const float> agreed = agree(heads, queries);
  for (size_t h = 0; h < heads.size(); ++h) indices_[h]->observe(heads[h], queries[h], agreed);
}

std::vector<std::vector<Runs>> FetchLayer::step(std::span<const HeadView> heads,
                                                std::span<const QueryView> queries) {
  for (size_t h = 0; h < heads.size(); ++h) indices_[h]->update(heads[h]);
  const std::span<const float> agreed = agree(heads, queries);
  std::vector<std::vector<Runs>> out;
  for (size_t h = 0; h < heads.size(); ++h) {
    auto& runs = out.emplace_back(lists(queries[h].group));
    indices_[h]->select(heads[h], queries[h], agreed, runs);
  }
  for (size_t h = 0; h < heads.size() && needs_.observed > 0; ++h) {
    indices_[h]->observe(heads[h], queries[h], agreed);
  }
  return out;
}

}  // namespace fathom::kv
