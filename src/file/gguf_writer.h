// Writing GGUF v3 files, tensors streamed a piece at a time so that a model need not be in memory.
//
//   GgufWriter out("model.gguf");
//   out.set("general.architecture", "llama");
//   out.add_tensor("token_embd.weight", TensorType::kQ4_K, {2048, 32000});
//   for (...) out.write(rows);   // the tensors' bytes, in the order they were added
//   out.finish();
//
// First all metadata and tensors, then all data: the first write() fixes the header. The file
// appears under its name when finish() has put it there; without that nothing is left behind.
// For one thread. Throws Error(kUsage) for calls that cannot make a valid file, Error(kBadFile)
// where the file cannot be written.
//
// Types on disk are those other readers expect: an integer is u32 where it fits, else i32, else
// i64; a number is f32; in arrays integers are i32 where all fit, else i64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/tensor_type.h"
#include "file/metadata.h"

namespace fathom::file {

class AtomicFile;

class GgufWriter {
 public:
  explicit GgufWriter(std::string path);
  ~GgufWriter();

  // Keys keep the order they are first set in; setting one again replaces its value.
  // "general.alignment" is written as it is set, and obeyed; 32 without.
  void set(std::string key, Value value);

  // shape: fastest axis first, as TensorView has it.
  void add_tensor(std::string name, TensorType type, std::vector<uint64_t> shape);

  // The next bytes of the present tensor; a call may end a tensor but not cross into the next.
  void write(std::span<const std::byte> bytes);
  // REQUIRES: every byte of every tensor was written.
  void finish();

 private:
  struct Tensor {
    std::string name;
    TensorType type;
    std::vector<uint64_t> shape;
    uint64_t bytes;
    uint64_t offset;  // from the start of the data
  };

  void write_header();
  uint64_t alignment() const;

  std::string path_;
  std::vector<std::pair<std::string, Value>> values_;
  std::vector<Tensor> tensors_;
  std::unique_ptr<AtomicFile> out_;  // from the first write() or finish() on
  size_t present_ = 0;               // the tensor being written
  uint64_t done_ = 0;                // its bytes so far
};

// What a part of a split model says of itself: the keys split.no, split.count and
// split.tensors.count. `part` counts from 0; the name must be NAME-00001-of-0000N.gguf for part 0.
struct SplitPart {
  uint32_t part = 0;
  uint32_t parts = 1;
  uint64_t tensors = 0;  // of all parts together
};
void set_split(GgufWriter& writer, const SplitPart& split);

}  // namespace fathom::file
