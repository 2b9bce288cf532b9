#include "model/family/gemma.h"

#include <cmath>

namespace fathom::model {
namespace {

// The 27B models of both generations scale scores by dim / heads instead of the head's size.
constexpr size_t kLayersOf27B[] = {46, 62};

}  // namespace

void configure_gemma(const KeyReader& keys, Config& config) {
  config.embedding_scale = std::sqrt(static_cast<float>(config.dim));
  config.activation = Activation::kGelu;
  // Hugging Face folders say what scores are scaled by; GGUF files leave it to the model's size.
  const bool is_27b = config.layers == kLayersOf27B[0] || config.layers == kLayersOf27B[1];
  const float by_size = static_cast<float>(is_27b ? config.dim / config.heads : config.head_dim);
  config.attention_scale =
      1.0f / std::sqrt(keys.number("attention.query_pre_attn_scalar", by_size));
}

LayerWeights load_gemma_layer(WeightLoader& loader, const Config& c, const std::string& prefix) {
  LayerWeights w = load_common_layer(loader, c, prefix);
  w.post_attention_norm = loader.vector(prefix + "post_attention_norm.weight", c.dim);
  w.post_feed_forward_norm = loader.vector(prefix + "post_ffw_norm.weight", c.dim);
  return w;
}

}  // namespace fathom::model
