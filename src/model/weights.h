// A model's weights in the layout of the kernels, and how they are loaded.
//
// Loading packs each tensor (kernel/matrix.h) in parallel and gives the file's pages back as it
// goes, so weights are in memory once. Immutable after loading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "file/checkpoint.h"
#include "kernel/matrix.h"

namespace fathom::model {

// y = W x + b
struct Linear {
  kernel::Matrix weights;
  Buffer<float> bias;  // empty: none
};

using Vector = Buffer<float>;

struct LayerWeights {
  Vector attention_norm;
  Linear q, k, v, o;
  Vector q_norm, k_norm;       // of each head before rotation; empty: none
  Vector post_attention_norm;  // of attention's output; empty: none
  Vector feed_forward_norm;
  Linear gate, up, down;
  Vector post_feed_forward_norm;  // empty: none
};

struct Weights {
  kernel::Matrix embedding;  // [vocab][dim]; empty rows where `embedding_view` is used
  // Where the output matrix is not tied, rows of the embedding are read from the file.
  const file::TensorView* embedding_view = nullptr;
  Vector output_norm;
  kernel::Matrix output;  // empty: tied to the embedding
  std::vector<LayerWeights> layers;

  size_t bytes() const;
  // What a step of one token reads of them: all but the embedding where the output is another.
  size_t step_bytes() const;
};

// Reads tensors by name with the shapes the model needs. Throws Error(kBadFile) naming the tensor.
class WeightLoader {
 public:
  WeightLoader(const file::Checkpoint& checkpoint, ThreadPool& pool, const Progress& progress);

  struct Shape {
    size_t rows, columns;
  };
  bool has(const std::string& name) const { return checkpoint_.find(name) != nullptr; }
  kernel::Matrix matrix(const std::string& name, Shape shape);
  // Rows [first, first + shape.rows) of a tensor of `all_rows`: parts of fused projections.
  kernel::Matrix rows(const std::string& name, Shape shape, size_t first, size_t all_rows);
  Vector vector(const std::string& name, size_t n);
  Vector optional_vector(const std::string& name, size_t n);
  // `name`.weight and, if it is there, `name`.bias.
  Linear linear(const std::string& name, Shape shape);
  const file::TensorView& view(const std::string& name, Shape shape);

 private:
  kernel::Matrix pack(const file::TensorView& tensor, size_t first, size_t rows);

  const file::Checkpoint& checkpoint_;
  ThreadPool& pool_;
  const Progress& progress_;
  size_t done_ = 0;
  size_t total_ = 0;
};

}  // namespace fathom::model
