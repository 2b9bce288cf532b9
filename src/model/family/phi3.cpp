// Phi 3 and 3.5: Llama's layer with Q, K, V fused into one matrix and gate, up into another, a
// sliding window on every layer, and long-rope factors (one set for short contexts, one for long).
// The fused matrices are taken apart when they are packed.
#include "model/family.h"

namespace fathom::model {
namespace {

void configure(const KeyReader& keys, Config& config) { read_window(keys, {}, config); }

LayerWeights load_layer(WeightLoader& loader, const Config& c, const std::string& prefix) {
  LayerWeights w;
  const size_t q_rows = c.heads * c.head_dim, kv_rows = c.kv_heads * c.head_dim;
  const size_t all = q_rows + 2 * kv_rows;
  const std::string qkv = prefix + "attn_qkv.weight", gate_up = prefix + "ffn_up.weight";
  w.attention_norm = loader.vector(prefix + "attn_norm.weight", c.dim);
  w.q.weights = loader.rows(qkv, {q_rows, c.dim}, 0, all);
  w.k.weights = loader.rows(qkv, {kv_rows, c.dim}, q_rows, all);
  w.v.weights = loader.rows(qkv, {kv_rows, c.dim}, q_rows + kv_rows, all);
  w.o = loader.linear(prefix + "attn_output", {c.dim, q_rows});
  w.feed_forward_norm = loader.vector(prefix + "ffn_norm.weight", c.dim);
  w.gate.weights = loader.rows(gate_up, {c.feed_forward, c.dim}, 0, 2 * c.feed_forward);
  w.up.weights = loader.rows(gate_up, {c.feed_forward, c.dim}, c.feed_forward, 2 * c.feed_forward);
  w.down = loader.linear(prefix + "ffn_down", {c.dim, c.feed_forward});
  return w;
}

}  // namespace

const Family kPhi3{"phi3", "Phi 3 and 3.5", configure, load_layer};

}  // namespace fathom::model
