#include "model/weights.h"

#include <cmath>

#include "base/error.h"
#include "kernel/block_formats.h"

namespace fathom::model {
namespace {

// Bytes that one task packs: enough to amortise it, few enough that little of the file is resident
// beside its packed copy.
constexpr size_t kTaskBytes = 1 << 20;

size_t bytes_of(const Linear& l) { return l.weights.bytes() + l.bias.bytes(); }

size_t bytes_of(const LayerWeights& w) {
  size_t bytes = 0;
  for (const Linear* l : {&w.q, &w.k, &w.v, &w.o, &w.gate, &w.up, &w.down}) bytes += bytes_of(*l);
  for (const Vector* v : {&w.attention_norm, &w.q_norm, &w.k_norm, &w.post_attention_norm,
                          &w.feed_forward_norm, &w.post_feed_forward_norm}) {
    bytes += v->bytes();
  }
  return bytes;
}

}  // namespace

size_t Weights::step_bytes() const {
  return bytes() - (output.rows() > 0 ? embedding.bytes() : 0);
}

size_t Weights::bytes() const {
  size_t total = embedding.bytes() + output.bytes() + output_norm.bytes();
  for (const LayerWeights& layer : layers) total += bytes_of(layer);
  return total;
}

WeightLoader::WeightLoader(const file::Checkpoint& checkpoint, ThreadPool& pool,
                           const Progress& progress)
    : checkpoint_(checkpoint), pool_(pool), progress_(progress) {
  for (const file::TensorView& t : checkpoint.tensors()) total_ += t.data.size();
}

const file::TensorView& WeightLoader::view(const std::string& name, Shape shape) {
  const file::TensorView& t = checkpoint_.require(name);
  if (t.columns() != shape.columns || t.rows() != shape.rows) {
    throw bad_file(checkpoint_.path(), "tensor '{}' is [{} x {}], but the model needs [{} x {}]",
                   name, t.rows(), t.columns(), shape.rows, shape.columns);
  }
  if (t.type == TensorType::kBF16 && t.columns() % 2 != 0) {
    throw unsupported(checkpoint_.path(), "tensor '{}' is BF16 with an odd number of columns",
                      name);
  }
  return t;
}

kernel::Matrix WeightLoader::matrix(const std::string& name, Shape shape) {
  return pack(view(name, shape), 0, shape.rows);
}

kernel::Matrix WeightLoader::rows(const std::string& name, Shape shape, size_t first,
                                  size_t all_rows) {
  return pack(view(name, {all_rows, shape.columns}), first, shape.rows);
}

kernel::Matrix WeightLoader::pack(const file::TensorView& tensor, size_t first, size_t rows) {
  kernel::Matrix m(tensor.type, rows, tensor.columns());
  const size_t row_bytes = m.row_bytes();
  const std::span<const std::byte> source =
      tensor.data.subspan(first * row_bytes, rows * row_bytes);
  const size_t tiles_a_task = std::max<size_t>(1, kTaskBytes / m.tile_bytes());
  const size_t tasks = (m.tiles() + tiles_a_task - 1) / tiles_a_task;
  pool_.run(tasks, [&](size_t task, int) {
    const size_t begin = task * tiles_a_task;
    const size_t end = std::min(m.tiles(), begin + tiles_a_task);
    for (size_t t = begin; t < end; ++t) m.pack_tile(t, source);
    const size_t offset = tensor.offset + first * row_bytes + begin * m.tile_bytes();
    tensor.file->drop(offset, (end - begin) * m.tile_bytes());
  });
  done_ += source.size();
  if (!report(progress_, {"loading", done_, total_, "bytes"})) {
    throw Error(ErrorCode::kInternal, checkpoint_.path(), "loading was stopped");
  }
  return m;
}

Vector WeightLoader::vector(const std::string& name, size_t n) {
  const file::TensorView& t = view(name, {1, n});
  Vector out(n);
  kernel::dequantize_row(t.type, t.data.data(), out.span());
  for (const float x : out.span()) {
    if (!std::isfinite(x)) throw bad_file(checkpoint_.path(), "tensor '{}' is not finite", name);
  }
  return out;
}

Vector WeightLoader::optional_vector(const std::string& name, size_t n) {
  return has(name) ? vector(name, n) : Vector();
}

Linear WeightLoader::linear(const std::string& name, Shape shape) {
  return {matrix(name + ".weight", shape), optional_vector(name + ".bias", shape.rows)};
}

}  // namespace fathom::model
