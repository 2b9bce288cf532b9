#include "support/layer_text.h"

#include <random>

namespace fathom::test {

LayerText::LayerText(size_t n, uint64_t seed)
    : tokens(n), q(n * kHeads * kDim), k(n * kKvHeads * kDim), v(n * kKvHeads * kDim) {
  std::mt19937_64 rng(seed);
  std::normal_distribution<float> normal;
  for (std::vector<float>* x : {&q, &k, &v}) {
    for (float& value : *x) value = normal(rng);
  }
}

kv::AttendLayer LayerText::step(size_t at, float* out) const {
  return {0,
          kHeads,
          &q[at * kHeads * kDim],
          &k[at * kKvHeads * kDim],
          &v[at * kKvHeads * kDim],
          out + at * kHeads * kDim,
          0.25f};
}

std::vector<float> LayerText::rows(const std::vector<float>& from, size_t kv_head) {
  std::vector<float> out;
  for (size_t t = 0; t * kKvHeads * kDim < from.size(); ++t) {
    const float* row = &from[(t * kKvHeads + kv_head) * kDim];
    out.insert(out.end(), row, row + kDim);
  }
  return out;
}

}  // namespace fathom::test
