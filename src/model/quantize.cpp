#include "model/quantize.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "file/gguf_writer.h"
#include "kernel/block_formats.h"

namespace fathom::model {
namespace {

using file::TensorView;

bool converts(const TensorView& t, TensorType type) {
  return t.shape.size() >= 2 && t.columns() % info(type).block_values == 0;
}

void write_matrix(file::GgufWriter& out, const TensorView& t, TensorType type, ThreadPool& pool) {
  const size_t columns = t.columns(), row_bytes = info(type).row_bytes(columns);
  const size_t rows_a_turn = std::max<size_t>(1, (size_t{8} << 20) / row_bytes);
  std::vector<std::byte> bytes(rows_a_turn * row_bytes);
  std::vector<std::vector<float>> floats(static_cast<size_t>(pool.size()),
                                         std::vector<float>(columns));
  for (size_t first = 0; first < t.rows(); first += rows_a_turn) {
    const size_t n = std::min<size_t>(rows_a_turn, t.rows() - first);
    pool.run(n, [&](size_t i, int worker) {
      std::vector<float>& row = floats[static_cast<size_t>(worker)];
      kernel::dequantize_row(t.type, t.data.data() + (first + i) * t.row_bytes(), row);
      kernel::quantize_row(type, row, bytes.data() + i * row_bytes);
    });
    out.write(std::span(bytes).first(n * row_bytes));
  }
}

void copy_metadata(const file::Checkpoint& from, file::GgufWriter& out) {
  for (const auto& [key, value] : from.metadata().all()) {
    // The file type says what most matrices are; the parts of a split file become one.
    if (key != "general.file_type" && !key.starts_with("split.")) out.set(key, value);
  }
}

}  // namespace

QuantizeResult quantize_model(const file::Checkpoint& from, const std::string& path,
                              TensorType type, ThreadPool& pool, const Progress& progress) {
  if (!from.format().starts_with("GGUF")) {
    throw unsupported(from.path(), "only GGUF files are converted, this is a {}", from.format());
  }
  file::GgufWriter out(path);
  copy_metadata(from, out);
  QuantizeResult result;
  size_t total = 0, done = 0;
  for (const TensorView& t : from.tensors()) {
    const bool other = converts(t, type);
    out.add_tensor(t.name, other ? type : t.type, t.shape);
    ++(other ? result.converted : result.kept);
    total += t.values();
  }
  for (const TensorView& t : from.tensors()) {
    if (converts(t, type)) {
      write_matrix(out, t, type, pool);
    } else {
      out.write(t.data);
    }
    done += t.values();
    if (!report(progress, {"writing", done, total, "values"})) {
      throw Error(ErrorCode::kInternal, path, "writing was stopped");
    }
  }
  out.finish();
  return result;
}

}  // namespace fathom::model
