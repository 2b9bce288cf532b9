// Qwen 3 (dense): Llama's layer with an RMS norm of every query and key head before rotation.
#include "base/error.h"
#include "model/family.h"

namespace fathom::model {
namespace {

void configure(const KeyReader& keys, Config& config) { read_window(keys, {}, config); }

LayerWeights load_layer(WeightLoader& loader, const Config& c, const std::string& prefix) {
  LayerWeights w = load_common_layer(loader, c, prefix);
  w.q_norm = loader.vector(prefix + "attn_q_norm.weight", c.head_dim);
  w.k_norm = loader.vector(prefix + "attn_k_norm.weight", c.head_dim);
  return w;
}

}  // namespace

const Family kQwen3{"qwen3", "Qwen 3, dense", configure, load_layer};

}  // namespace fathom::model
