// One layer's attention of a step, as the engine asks for it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kv/sequence_cache.h"
#include "kv/view.h"

namespace fathom::kv {

// A sequence's share of a step: rows [first_row, first_row + tokens) of q, k and v, whose tokens
// are the last of its cache (extend() has made room for them).
struct SequenceRows {
  SequenceCache* cache = nullptr;
  size_t first_row = 0;
  size_t tokens = 0;
  size_t prompt = 0;  // tokens that the cache will hold when its prompt is read; 0: not known

  // Whether the one token was written after the prompt, not the prompt's last piece.
  bool decodes() const { return tokens == 1 && prompt == 0; }
};

struct AttendLayer {
  size_t layer = 0;
  size_t heads = 0;          // query heads
  const float* q = nullptr;  // [rows][heads][head_dim], rotated
  const float* k = nullptr;  // [rows][kv_heads][head_dim], rotated
  const float* v = nullptr;  // [rows][kv_heads][head_dim]
  float* out = nullptr;      // [rows][heads][head_dim]
  float scale = 1.0f;
  float soft_cap = 0.0f;  // 0: none
  int32_t window = 0;     // 0: none
  RopeView rope = {};     // how q and k were rotated; its frequencies outlive the engine's caches
  // q in the frame of the stored keys, in the same layout, where that is not the model's: the
  // Attender sets it. Kernels read stored_q(), policies q.
  const float* framed_q = nullptr;
  const float* stored_q() const { return framed_q ? framed_q : q; }
};

}  // namespace fathom::kv
