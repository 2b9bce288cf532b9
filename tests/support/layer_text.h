// Queries, keys and values of one small layer, made up from a seed: the text of tests that run a
// kv::Attender without a model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kv/attend_layer.h"

namespace fathom::test {

struct LayerText {
  static constexpr size_t kHeads = 4, kKvHeads = 2, kDim = 16;

  size_t tokens;
  std::vector<float> q, k, v;  // [tokens][heads or kv heads][kDim], normal

  LayerText(size_t n, uint64_t seed);

  // What a step of the tokens from `at` on asks of the layer; out [tokens][kHeads][kDim].
  kv::AttendLayer step(size_t at, float* out) const;
  // Keys or values of one kv head, [tokens][kDim].
  static std::vector<float> rows(const std::vector<float>& from, size_t kv_head);
};

}  // namespace fathom::test
