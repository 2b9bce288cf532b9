// Models of a published shape with random weights, so that speed can be measured without a
// download.
//
// Weights are Gaussian with the deviation that keeps activations near 1, encoded in any format by
// the reference encoders; norms are 1. The file is a function of (shape, type, seed) alone.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/progress.h"
#include "base/tensor_type.h"
#include "base/thread_pool.h"
#include "file/checkpoint.h"

namespace fathom::model {

struct SynthShape {
  std::string_view name;  // as --like takes it
  std::string_view architecture;
  size_t layers, dim, feed_forward, heads, kv_heads, head_dim, vocab, context;
  double rope_base;
  bool tied;         // output = embedding
  bool llama3_rope;  // with Llama 3's stretched frequencies
};

std::span<const SynthShape> synth_shapes();
// nullptr where there is none of that name.
const SynthShape* find_synth_shape(std::string_view name);

struct SynthOptions {
  TensorType type = TensorType::kQ4_0;  // of every matrix
  uint64_t seed = 1;
  // The vocabulary of this file instead of a made-up one; the model then has its size.
  const file::Checkpoint* vocab = nullptr;
};

// Writes the GGUF file; it appears when it is complete. Reports "writing" in bytes. Throws
// Error(kUnsupported) where the shape's rows are no whole blocks of the type.
void write_synthetic_model(const std::string& path, const SynthShape& shape,
                           const SynthOptions& options, ThreadPool& pool,
                           const Progress& progress = {});

}  // namespace fathom::model
