#include "file/checkpoint.h"

#include <filesystem>

#include "base/checked.h"
#include "base/error.h"
#include "file/gguf.h"
#include "file/huggingface.h"
#include "file/quoted_name.h"

namespace fathom::file {

uint64_t TensorView::rows() const {
  uint64_t rows = 1;
  for (size_t i = 1; i < shape.size(); ++i) rows *= shape[i];  // checked by tensor_bytes()
  return rows;
}

std::optional<uint64_t> tensor_bytes(TensorType type, std::span<const uint64_t> shape) {
  const TensorTypeInfo& t = info(type);
  if (shape.empty() || shape.size() > 4 || shape[0] % t.block_values != 0) return std::nullopt;
  std::optional<uint64_t> values = 1;
  for (const uint64_t axis : shape) {
    if (axis == 0 || axis > (uint64_t{1} << 40)) return std::nullopt;
    values = checked_mul(*values, axis);
    if (!values) return std::nullopt;
  }
  return checked_mul(*values / t.block_values, t.block_bytes);
}

Checkpoint Checkpoint::open(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return open_huggingface_folder(path);
  return open_gguf(path);
}

const TensorView* Checkpoint::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

const TensorView& Checkpoint::require(std::string_view name) const {
  if (const TensorView* tensor = find(name)) return *tensor;
  throw bad_file(path_, "tensor {} is missing", quoted_name(name));
}

CheckpointBuilder::CheckpointBuilder(std::string path, std::string format) {
  checkpoint_.metadata_ = Metadata(path);
  checkpoint_.path_ = std::move(path);
  checkpoint_.format_ = std::move(format);
}

const MappedFile& CheckpointBuilder::add_file(MappedFile file) {
  checkpoint_.file_bytes_ += file.bytes().size();
  checkpoint_.files_.push_back(std::make_unique<MappedFile>(std::move(file)));
  return *checkpoint_.files_.back();
}

void CheckpointBuilder::add_tensor(TensorView view) {
  const std::string& path = view.file->path();
  const std::string name = quoted_name(view.name);
  const std::optional<uint64_t> bytes = tensor_bytes(view.type, view.shape);
  if (!bytes) {
    throw bad_file(path, "tensor {} has an impossible shape for {}: [{}]", name,
                   info(view.type).name, fmt::join(view.shape, ", "));
  }
  const size_t file_size = view.file->bytes().size();
  if (view.offset > file_size || *bytes > file_size - view.offset) {
    throw bad_file(path, "tensor {} needs {} bytes at offset {}, but the file ends at {}", name,
                   *bytes, view.offset, file_size);
  }
  view.data = view.file->bytes().subspan(view.offset, *bytes);
  if (!checkpoint_.by_name_.emplace(view.name, checkpoint_.tensors_.size()).second) {
    throw bad_file(path, "tensor {} is there twice", name);
  }
  checkpoint_.tensors_.push_back(std::move(view));
}

void CheckpointBuilder::add_owned_tensor(TensorView view, std::vector<std::byte> bytes) {
  checkpoint_.files_.push_back(
      std::make_unique<MappedFile>(MappedFile::from_bytes(checkpoint_.path_, std::move(bytes))));
  view.file = checkpoint_.files_.back().get();
  view.offset = 0;
  add_tensor(std::move(view));
}

}  // namespace fathom::file
