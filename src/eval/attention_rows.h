// What heads attend to while a model reads: chosen queries and all keys, and rows of weights of
// them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/cache_attention.h"
#include "model/config.h"

namespace fathom::eval {

// What one layer attends with.
struct LayerAttention {
  size_t heads = 0, kv_heads = 0, head_dim = 0;
  float scale = 1.0f, soft_cap = 0.0f;
  int32_t window = 0;
  std::vector<float> q;  // [rows][heads][head_dim], of chosen tokens only
  std::vector<float> k;  // [tokens][kv_heads][head_dim]
};

// Collects the chosen queries and all keys of some layers.
class AttentionCollector final : public engine::AttentionObserver {
 public:
  AttentionCollector(const model::Config& config, size_t begin, size_t end,
                     std::span<const size_t> rows)
      : begin_(begin), rows_(rows), layers_(end - begin), read_(end - begin) {
    for (LayerAttention& layer : layers_) {
      layer.heads = config.heads;
      layer.kv_heads = config.kv_heads;
      layer.head_dim = config.head_dim;
    }
  }

  void attended(const model::AttendCall& call, size_t tokens) override {
    if (call.layer < begin_ || call.layer >= begin_ + layers_.size()) return;
    LayerAttention& layer = layers_[call.layer - begin_];
    size_t& read = read_[call.layer - begin_];
    layer.scale = call.scale;
    layer.soft_cap = call.soft_cap;
    layer.window = call.window;
    const size_t width = layer.heads * layer.head_dim;
    auto row = std::lower_bound(rows_.begin(), rows_.end(), read);
    for (; row != rows_.end() && *row < read + tokens; ++row) {
      const float* q = call.q + (*row - read) * width;
      layer.q.insert(layer.q.end(), q, q + width);
    }
    layer.k.insert(layer.k.end(), call.k, call.k + tokens * layer.kv_heads * layer.head_dim);
    read += tokens;
  }

  const std::vector<LayerAttention>& layers() const { return layers_; }

 private:
  size_t begin_;
  std::span<const size_t> rows_;
  std::vector<LayerAttention> layers_;
  std::vector<size_t> read_;  // tokens, by layer
};

// What a query of `token` gives to each of the keys up to its own.
void attention_row(const LayerAttention& layer, const float* q, size_t kv_head, size_t token,
                   std::vector<float>& weights);

}  // namespace fathom::eval
