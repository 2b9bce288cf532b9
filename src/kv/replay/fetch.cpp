#include "kv/replay/fetch.h"

#include <algorithm>

#include "base/error.h"
#include "kv/replay/keep.h"

namespace fathom::kv {
namespace {

void require(const FetchNeeds& needs, const Recording& recording) {
  if (needs.surprise) throw usage_error("replay", "a recording does not hold tokens' surprise");
  if (needs.sentences) throw usage_error("replay", "a recording does not hold sentences");
  const bool unrotated = recording.has_unrotated_keys() && recording.has_unrotated_queries();
  if (needs.unrotated && !(unrotated && recording.rope_base())) {
    throw usage_error("replay", "the recording lacks unrotated keys and queries, or its base");
  }
}

}  // namespace

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

FetchDecision replay_fetch(const FetchPolicy& policy, const Recording& recording) {
  const FetchNeeds needs = policy.needs();
  require(needs, recording);
  const auto rope = recorded_rope(recording);
  FetchLayer layer(policy, recording.kv_heads());
  std::vector<HeadView> heads;
  std::vector<QueryView> queries;
  const auto look = [&](size_t tokens, size_t first) {
    heads.clear(), queries.clear();
    for (size_t h = 0; h < recording.kv_heads(); ++h) {
      heads.push_back(recording.head(h, tokens));
      heads.back().rope = rope ? &rope->view : nullptr;
      queries.push_back(recording.queries(h, first, tokens - first));
    }
  };
  const size_t prompt = recording.prompt();
  const size_t block = needs.observed == 0 ? prompt : needs.observed;
  for (size_t first = 0; first < prompt; first += block) {
    look(std::min(first + block, prompt), first);
    layer.read_prompt(heads, queries);
  }
  FetchDecision decision;
  double read = 0, all = 0;
  for (size_t tokens = prompt + 1; tokens <= recording.tokens(); ++tokens) {
    look(tokens, tokens - 1);
    decision.fetched_positions.push_back(layer.step(heads, queries));
    for (const auto& head : decision.fetched_positions.back()) {
      for (const Runs& runs : head) {
        read += static_cast<double>(keys_read(runs));
        all += static_cast<double>(tokens);
      }
    }
  }
  if (all > 0) decision.share_read = read / all;
  for (size_t h = 0; h < recording.kv_heads(); ++h) decision.index_bytes += layer.index(h).bytes();
  return decision;
}

}  // namespace fathom::kv
