// What a decoder model is: sizes and constants from a checkpoint's metadata, checked.
//
// Plain data, immutable once a Model holds it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernel/elementwise.h"

namespace fathom::model {

enum class RopeScaling : uint8_t { kNone, kLinear, kYarn, kLong };

struct RopeConfig {
  kernel::RopeStyle style = kernel::RopeStyle::kHalf;
  size_t rotated = 0;  // leading values of a head that are rotated, even
  double base = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;          // context stretched by this (linear, YaRN)
  size_t original_context = 0;  // trained before stretching (YaRN, long)
  double magnitude = 1.0;       // cos and sin are multiplied by this (long: attn_factor)
  double yarn_beta_fast = 32.0, yarn_beta_slow = 1.0;
  // Divisors of the inverse frequencies, one a pair, or empty. `long_factors` replace
  // `short_factors` where the context is longer than the original one.
  std::vector<float> short_factors, long_factors;
};

enum class Activation : uint8_t { kSilu, kGelu };

struct Config {
  std::string architecture;
  std::string name;
  size_t vocab = 0;
  size_t dim = 0;
  size_t layers = 0;
  size_t heads = 0;
  size_t kv_heads = 0;
  size_t head_dim = 0;
  size_t feed_forward = 0;
  size_t trained_context = 0;
  float norm_epsilon = 1e-5f;
  Activation activation = Activation::kSilu;

  RopeConfig rope;
  RopeConfig local_rope;  // of the windowed layers, where `has_local_rope`
  bool has_local_rope = false;

  float attention_scale = 0.0f;     // of q.k
  float attention_soft_cap = 0.0f;  // 0: none
  float logit_soft_cap = 0.0f;      // 0: none
  float embedding_scale = 1.0f;
  int32_t window = 0;                 // keys that windowed layers see; 0: none is windowed
  std::vector<bool> windowed_layers;  // [layers]

  bool windowed(size_t layer) const { return window > 0 && windowed_layers[layer]; }
};

}  // namespace fathom::model
