// Gemma 3 (text): norms of query and key heads, five windowed layers to one that sees everything;
// windowed layers rotate with a base of their own and are not stretched.
#include "model/family/gemma.h"

namespace fathom::model {
namespace {

void configure(const KeyReader& keys, Config& config) {
  configure_gemma(keys, config);
  read_window(keys, {1024, 6}, config);
  config.rope.base = keys.number("rope.freq_base", 1e6f);
  config.has_local_rope = true;
  config.local_rope.style = config.rope.style;
  config.local_rope.rotated = config.rope.rotated;
  config.local_rope.base = keys.number("rope.freq_base_swa", 10000.0f);
  config.logit_soft_cap = keys.number("final_logit_softcapping", 0.0f);
}

LayerWeights load_layer(WeightLoader& loader, const Config& c, const std::string& prefix) {
  LayerWeights w = load_gemma_layer(loader, c, prefix);
  w.q_norm = loader.vector(prefix + "attn_q_norm.weight", c.head_dim);
  w.k_norm = loader.vector(prefix + "attn_k_norm.weight", c.head_dim);
  return w;
}

}  // namespace

const Family kGemma3{"gemma3", "Gemma 3, text", configure, load_layer};

}  // namespace fathom::model
