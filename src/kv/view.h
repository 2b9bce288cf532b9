// What a policy sees of the cache: plain arrays of f32, no pages, no codecs. A view is made for one
// call and not kept; its arrays belong to the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel/elementwise.h"

namespace fathom::kv {

// How the model turned k_unrotated into k.
struct RopeView {
  std::span<const double> frequencies;  // radians a position, one a rotary pair
  double magnitude = 1.0;               // by which rotated channels are multiplied
  kernel::RopeStyle style = kernel::RopeStyle::kAdjacent;
};

// What is known of the tokens as text, by position; the same for all layers and heads. Either is
// empty where nobody asked for it.
struct TextView {
  std::span<const float> surprise;         // [positions]: -log p(token | those before it), nats
  std::span<const int32_t> sentence_ends;  // ascending: the position after each sentence's last
};

// The stored keys and values of one kv head, in ascending order of position.
struct HeadView {
  size_t layer = 0;
  size_t kv_head = 0;
  size_t head_dim = 0;
  size_t tokens = 0;
  const float* k = nullptr;            // [tokens][head_dim], rotated
  const float* v = nullptr;            // [tokens][head_dim]; null while the prompt is being read
  const float* k_unrotated = nullptr;  // [tokens][head_dim]; null where nobody asked for it
  const int32_t* positions = nullptr;  // [tokens]; null: token i is at position i
  float scale = 1.0f;                  // of q . k inside the softmax
  // As attention has them, where a policy counts it: the cap of scores, and how many keys up to
  // itself a query sees. 0: none.
  float soft_cap = 0.0f;
  int32_t window = 0;
  const RopeView* rope = nullptr;  // null where nobody asked for unrotated keys
  const TextView* text = nullptr;  // null where nobody asked for it
  bool rounds = false;             // whether attention multiplies keys and queries as BF16

  int32_t position(size_t token) const {
    return positions ? positions[token] : static_cast<int32_t>(token);
  }
  const float* key(size_t token) const { return k + token * head_dim; }
  const float* value(size_t token) const { return v + token * head_dim; }
};

// Queries of the query heads that read one kv head. Query t is at position first + t and sees keys
// at positions up to its own.
struct QueryView {
  size_t group = 1;  // query heads
  size_t tokens = 0;
  size_t first = 0;
  size_t stride = 0;         // floats from one token to the next
  const float* q = nullptr;  // query t of head g at q + t * stride + g * head_dim, rotated
  const float* q_unrotated = nullptr;  // in the same layout; null where nobody asked for it

  const float* row(size_t token, size_t head, size_t head_dim) const {
    return q + token * stride + head * head_dim;
  }
  const float* row_unrotated(size_t token, size_t head, size_t head_dim) const {
    return q_unrotated + token * stride + head * head_dim;
  }
};

}  // namespace fathom::kv
