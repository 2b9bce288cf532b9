// The small operations between matrix products. Each call handles one token's row or one head; the
// caller spreads tokens over threads. In-place use is allowed wherever in and out have one shape.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/half.h"

namespace fathom::kernel {

enum class RopeStyle : uint8_t {
  kAdjacent,  // rotates (2i, 2i+1): GGUF's llama
  kHalf,      // rotates (i, i + n/2): the rest
};

struct NormArgs {
  const float* x = nullptr;       // [n]
  const float* weight = nullptr;  // [n]; null: no gain
  size_t n = 0;
  float epsilon = 0;
  float* out = nullptr;  // [n]
};

struct RopeArgs {
  float* x = nullptr;  // [heads][head_dim], rotated in place
  size_t heads = 0;
  size_t head_dim = 0;
  size_t rotated = 0;          // leading values of a head that are rotated, even
  const float* cos = nullptr;  // [rotated / 2]
  const float* sin = nullptr;
  RopeStyle style = RopeStyle::kAdjacent;
};

// One row of `n` floats to int8 codes: see activations.h. n % 32 == 0.
struct QuantizeArgs {
  const float* x = nullptr;
  size_t n = 0;
  int8_t* codes = nullptr;
  float* scales = nullptr;
  int32_t* sums = nullptr;
};

struct ElementwiseKernels {
  // out = x / sqrt(mean(x^2) + epsilon) * weight
  void (*rms_norm)(const NormArgs&);
  void (*rope)(const RopeArgs&);
  void (*quantize)(const QuantizeArgs&);
  void (*to_bfloat)(const float* x, size_t n, BFloat* out);
  // out = silu(gate) * up, out = gelu_tanh(gate) * up
  void (*silu_mul)(const float* gate, const float* up, size_t n, float* out);
  void (*gelu_mul)(const float* gate, const float* up, size_t n, float* out);
  void (*add)(const float* a, const float* b, size_t n, float* out);
  // x = cap * tanh(x / cap)
  void (*soft_cap)(float* x, size_t n, float cap);
};

}  // namespace fathom::kernel
