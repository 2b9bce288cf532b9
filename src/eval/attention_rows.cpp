#include "eval/attention_rows.h"

#include <algorithm>
#include <cmath>

#include "kv/vector.h"

namespace fathom::eval {

void attention_row(const LayerAttention& layer, const float* q, size_t kv_head, size_t token,
                   std::vector<float>& weights) {
  const size_t d = layer.head_dim, window = static_cast<size_t>(layer.window);
  weights.assign(token + 1, -INFINITY);
  for (size_t t = window > 0 && token + 1 > window ? token + 1 - window : 0; t <= token; ++t) {
    const float* k = layer.k.data() + (t * layer.kv_heads + kv_head) * d;
    const float x = kv::dot(q, k, d) * layer.scale;
    weights[t] = layer.soft_cap > 0 ? layer.soft_cap * std::tanh(x / layer.soft_cap) : x;
  }
  kv::softmax(weights);
}

}  // namespace fathom::eval
