// A model on disk: named tensors and metadata, whatever the container.
//
// open() takes a GGUF file (v2 or v3), the first part of a split GGUF (`-00001-of-0000N.gguf`), or
// a Hugging Face folder (config.json, tokenizer.json, *.safetensors), which is presented under
// GGUF's names. Everything is validated against the files' sizes before a Checkpoint exists: a
// TensorView is always in bounds, has a known type, 1 to 4 dimensions, whole blocks per row, starts
// at a multiple of eight bytes (GGUF) or of its elements' size (safetensors), and no two tensors
// share a name. Overlapping tensors are allowed (they are only read).
//
// Move-only; owns the mappings that its views point into. Safe to read from any thread. Throws
// Error(kBadFile | kUnsupported) naming the file and the field.
//
// Metadata is GGUF's, and a Hugging Face folder adds what GGUF leaves to be guessed from names:
//
//   fathom.rope.style               "half": RoPE turns values i and i + d/2. Without the key the
//                                   architecture says which ("llama" in GGUF is "adjacent": 2i,
//                                   2i+1)
//   fathom.tokenizer.pre_patterns   strings: the expressions of the pre-tokenizer, in order; every
//                                   one splits what the former left into its matches and the rest
//   fathom.tokenizer.ignore_merges  bool: a piece that is a token is taken without merging
//   fathom.tokenizer.normalizer     "nfc": the text is normalised before it is split
//   fathom.tokenizer.eos_ids        integers: every token that ends a reply, as the folder says
//   fathom.tokenizer.strip_left     integers: tokens that swallow the white space before them,
//   fathom.tokenizer.strip_right    ... and after them
//
// and says, under names that GGUF has or could have, what its converter leaves to be guessed:
//
//   {arch}.attention.sliding_window_pattern   which layers have the window. An integer n: all but
//                                   the last of every n layers. Integers, one a layer: where it
//                                   is 1. Without the key: all of them
//   {arch}.attention.query_pre_attn_scalar    scores are divided by its root, not by that of the
//                                   head's size (gemma)
//   {arch}.rope.freq_base_swa       the base in the layers with a window, if it is another (gemma3)
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "base/tensor_type.h"
#include "file/metadata.h"

namespace fathom::file {

struct TensorView {
  std::string name;
  TensorType type = TensorType::kF32;
  std::vector<uint64_t> shape;       // fastest axis first: {columns, rows, ...}
  std::span<const std::byte> data;   // rows() rows of row_bytes() bytes
  const MappedFile* file = nullptr;  // where data lies; in memory only for converted tensors
  size_t offset = 0;                 // of data in the file

  uint64_t columns() const { return shape.empty() ? 1 : shape[0]; }
  uint64_t rows() const;  // product of the other axes
  uint64_t row_bytes() const { return info(type).row_bytes(columns()); }
  uint64_t values() const { return columns() * rows(); }
};

class Checkpoint {
 public:
  static Checkpoint open(const std::string& path);

  const std::string& path() const { return path_; }
  // How the container calls itself: "GGUF v3", "GGUF v3 in 2 parts", "safetensors folder".
  const std::string& format() const { return format_; }
  const Metadata& metadata() const { return metadata_; }
  std::span<const TensorView> tensors() const { return tensors_; }
  uint64_t file_bytes() const { return file_bytes_; }  // on disk, all parts together

  const TensorView* find(std::string_view name) const;  // nullptr where there is none
  const TensorView& require(std::string_view name) const;

 private:
  friend class CheckpointBuilder;

  std::string path_;
  std::string format_;
  Metadata metadata_;
  std::vector<std::unique_ptr<MappedFile>> files_;
  uint64_t file_bytes_ = 0;
  std::vector<TensorView> tensors_;                     // in file order
  std::map<std::string, size_t, std::less<>> by_name_;  // -> index in tensors_
};

// What a container's reader fills. Not for use outside file/.
class CheckpointBuilder {
 public:
  CheckpointBuilder(std::string path, std::string format);

  Metadata& metadata() { return checkpoint_.metadata_; }
  const MappedFile& add_file(MappedFile file);
  // Checks the view against its file (shape, type, bounds) and the name against those there are.
  void add_tensor(TensorView view);
  // A tensor that is not as it should be in any file: the checkpoint owns these bytes. `view` says
  // name, type and shape.
  void add_owned_tensor(TensorView view, std::vector<std::byte> bytes);
  const Checkpoint& so_far() const { return checkpoint_; }
  void set_format(std::string format) { checkpoint_.format_ = std::move(format); }
  Checkpoint finish() { return std::move(checkpoint_); }

 private:
  Checkpoint checkpoint_;
};

// Bytes of a tensor of this shape, or nullopt where it is not one (0 or more than 4 axes, an empty
// axis, a ragged row, an overflow).
std::optional<uint64_t> tensor_bytes(TensorType type, std::span<const uint64_t> shape);

}  // namespace fathom::file
