// Gemma 2: soft caps on attention scores and logits, every other layer windowed, norms before and
// after attention and feed-forward.
#include <cmath>

#include "model/family/gemma.h"

namespace fathom::model {
namespace {

// The 27B model scales scores by dim / heads instead of the head's size.
constexpr size_t kLayersOf27B = 46;

void configure(const KeyReader& keys, Config& config) {
  configure_gemma(keys, config, 2);
  config.window = static_cast<int32_t>(keys.count("attention.sliding_window", 4096));
  config.attention_soft_cap = keys.number("attn_logit_softcapping", 50.0f);
  config.logit_soft_cap = keys.number("final_logit_softcapping", 30.0f);
  if (config.layers == kLayersOf27B) {
    config.attention_scale =
        1.0f / std::sqrt(static_cast<float>(config.dim) / static_cast<float>(config.heads));
  }
}

}  // namespace

void configure_gemma(const KeyReader& keys, Config& config, size_t period) {
  config.embedding_scale = std::sqrt(static_cast<float>(config.dim));
  config.activation = Activation::kGelu;
  config.window_period = keys.count("attention.sliding_window_pattern", period);
  const float scalar = keys.number("attention.query_pre_attn_scalar", 0.0f);
  if (scalar > 0) config.attention_scale = 1.0f / std::sqrt(scalar);
}

LayerWeights load_gemma_layer(WeightLoader& loader, const Config& c, const std::string& prefix) {
  LayerWeights w = load_common_layer(loader, c, prefix);
  w.post_attention_norm = loader.vector(prefix + "post_attention_norm.weight", c.dim);
  w.post_feed_forward_norm = loader.vector(prefix + "post_ffw_norm.weight", c.dim);
  return w;
}

const Family kGemma2{"gemma2", "Gemma 2", configure, load_gemma_layer};

}  // namespace fathom::model
