// A model's matrices in another number format; everything else is copied.
#pragma once

#include <string>

#include "base/progress.h"
#include "base/tensor_type.h"
#include "base/thread_pool.h"
#include "file/checkpoint.h"

namespace fathom::model {

struct QuantizeResult {
  size_t converted = 0;  // matrices
  size_t kept = 0;       // tensors copied as they are: vectors, and rows that are no whole blocks
};

// Writes `from` to a GGUF file at `path` with its matrices as `type`. Values go through f32: exact
// to a type that holds them all, such as f32. Throws Error(kUnsupported) for a Hugging Face folder,
// whose keys other readers would not know; reports "writing" in values.
QuantizeResult quantize_model(const file::Checkpoint& from, const std::string& path,
                              TensorType type, ThreadPool& pool, const Progress& progress = {});

}  // namespace fathom::model
