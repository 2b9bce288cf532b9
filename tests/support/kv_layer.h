// One layer's keys, values and queries made up from a seed, with whatever a policy may ask for:
// unrotated forms, received attention, surprise, sentences.
#pragma once

#include <cstdint>
#include <vector>

#include "kv/fetch/fetch_policy.h"
#include "kv/keep/keep_policy.h"

namespace fathom::test {

class RandomLayer {
 public:
  static constexpr size_t kHeadDim = 16, kGroup = 2;

  // Entries are normal; the same seed gives the same tokens whatever `tokens` is.
  RandomLayer(size_t tokens, size_t kv_heads, uint32_t seed);

  size_t tokens() const { return tokens_; }
  size_t kv_heads() const { return kv_heads_; }
  void set_layer(size_t layer) { layer_ = layer; }
  // Key and value `token` of every head = strength * one direction, to which all queries lean.
  void plant(size_t token, float strength);

  kv::HeadView head(size_t kv_head, size_t tokens) const;
  kv::HeadView head(size_t kv_head) const { return head(kv_head, tokens_); }
  kv::QueryView queries(size_t kv_head, size_t first, size_t count) const;
  kv::KeepView keep_view(const kv::KeepNeeds& needs, size_t layers) const;

 private:
  void rotate_all();

  size_t tokens_, kv_heads_, layer_ = 0;
  std::vector<float> k_, v_, q_, k_unrotated_, q_unrotated_;
  std::vector<double> frequencies_;
  std::vector<float> surprise_;
  std::vector<int32_t> sentence_ends_;
  kv::RopeView rope_;
  kv::TextView text_;
  mutable std::vector<kv::HeadView> heads_;
  mutable std::vector<kv::QueryView> queries_;
  mutable std::vector<std::vector<float>> received_;
  mutable std::vector<const float*> received_rows_;
};

}  // namespace fathom::test
