#include "engine/key_norms.h"

#include <cmath>
#include <vector>

namespace fathom::engine {
namespace {

float row_norm(const model::LayerWeights& layer, size_t row, std::vector<float>& values,
               std::vector<std::byte>& bytes) {
  const kernel::Matrix& w = layer.k.weights;
  values.resize(w.columns());
  bytes.resize(w.row_bytes());
  w.dequantize_row(row, values, bytes);
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double gain = i < layer.attention_norm.size() ? layer.attention_norm[i] : 1.0;
    sum += double{values[i]} * values[i] * gain * gain;
  }
  if (row < layer.k.bias.size()) sum += double{layer.k.bias[row]} * layer.k.bias[row];
  return static_cast<float>(std::sqrt(sum));
}

}  // namespace

kv::KeyNorms key_norms(const model::Model& model, ThreadPool& pool) {
  const model::Config& c = model.config();
  const size_t rows = c.kv_heads * c.head_dim;
  kv::KeyNorms norms{c.kv_heads, c.head_dim, std::vector<float>(c.layers * rows)};
  pool.run(c.layers, [&](size_t layer, int) {
    std::vector<float> values;
    std::vector<std::byte> bytes;
    for (size_t row = 0; row < rows; ++row) {
      norms.norms[layer * rows + row] = row_norm(model.weights().layers[layer], row, values, bytes);
    }
  });
  return norms;
}

}  // namespace fathom::engine
