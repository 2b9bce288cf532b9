// A made-up kv head with its queries, for tests of policies: normal random numbers, and if wanted a
// needle that the queries look for.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "kv/prefill/prefill_policy.h"

namespace fathom::test {

struct MadeShape {
  size_t group = 2, head_dim = 32;
};

struct MadeHead {
  size_t tokens, group, head_dim, layer = 10;
  std::vector<float> k, v;  // [tokens][head_dim]
  std::vector<float> q;     // [tokens][group][head_dim]

  MadeHead(size_t count, uint64_t seed, MadeShape shape = {})
      : tokens(count), group(shape.group), head_dim(shape.head_dim) {
    std::mt19937_64 rng(seed);
    std::normal_distribution<float> normal;
    k.resize(tokens * head_dim);
    v.resize(tokens * head_dim);
    q.resize(tokens * group * head_dim);
    for (float& x : k) x = normal(rng);
    for (float& x : v) x = normal(rng);
    for (float& x : q) x = normal(rng);
  }

  // The key of a token becomes what every query looks for: `size` in channel 0, where all queries
  // have 4.
  void plant(size_t token, float size) {
    for (size_t i = 0; i < q.size(); i += head_dim) q[i] = 4.0f;
    for (size_t t = 0; t < tokens; ++t) k[t * head_dim] = 0.0f;
    k[token * head_dim] = size;
  }

  kv::HeadView head(size_t end) const {
    kv::HeadView view;
    view.layer = layer;
    view.head_dim = head_dim;
    view.tokens = end;
    view.k = k.data();
    view.v = v.data();
    view.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
    return view;
  }
  // Queries [first, end).
  kv::PrefillView chunk(size_t first, size_t end) const {
    kv::PrefillView view;
    view.head = head(end);
    view.head.v = nullptr;
    view.queries.group = group;
    view.queries.tokens = end - first;
    view.queries.first = first;
    view.queries.stride = group * head_dim;
    view.queries.q = q.data() + first * view.queries.stride;
    return view;
  }
  const float* query(size_t token, size_t group_head) const {
    return q.data() + (token * group + group_head) * head_dim;
  }
};

}  // namespace fathom::test
