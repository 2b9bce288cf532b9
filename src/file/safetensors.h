// Reading safetensors files (github.com/huggingface/safetensors): eight bytes of length, a JSON
// header, then the tensors' bytes without gaps.
//
// A header is refused unless every tensor has a known element type, a size that agrees with its
// shape, a name of its own, and the tensors tile the data from its first byte to its last, as the
// format demands; so a view is always in bounds and views never overlap. The data's alignment is
// not promised: copy elements out with memcpy or the functions below.
//
// Views point into the file, which must outlive them. Immutable after construction, so safe to read
// from any thread. Throws Error(kBadFile), or kUnsupported for an element type that is not known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"

namespace fathom::file {

enum class ElementType : uint8_t {
  kBool,
  kU8,
  kI8,
  kF8E4M3,
  kF8E5M2,
  kU16,
  kI16,
  kF16,
  kBF16,
  kU32,
  kI32,
  kF32,
  kU64,
  kI64,
  kF64,
};
std::string_view element_name(ElementType type);  // as headers spell it: "BF16"
size_t element_bytes(ElementType type);

struct SafetensorsView {
  std::string name;
  ElementType type = ElementType::kF32;
  std::vector<uint64_t> shape;      // slowest axis first, as headers have it; empty: one value
  std::span<const std::byte> data;  // values() elements

  uint64_t values() const { return data.size() / element_bytes(type); }
};

struct SafetensorsContents {
  std::vector<SafetensorsView> tensors;         // in the order of their data
  std::map<std::string, std::string> metadata;  // "__metadata__"
};

SafetensorsContents read_safetensors(const MappedFile& file);

// One file with its contents, looked up by name.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path) : SafetensorsFile(MappedFile(path)) {}
  explicit SafetensorsFile(MappedFile file);

  const std::string& path() const { return file_.path(); }
  std::span<const SafetensorsView> tensors() const { return contents_.tensors; }
  const std::map<std::string, std::string>& metadata() const { return contents_.metadata; }
  const SafetensorsView* find(std::string_view name) const;  // nullptr where there is none
  const SafetensorsView& require(std::string_view name) const;

 private:
  MappedFile file_;
  SafetensorsContents contents_;
  std::map<std::string, size_t, std::less<>> by_name_;
};

// The elements as numbers of one kind, whatever the width they are stored in. Throws
// Error(kUnsupported) for integers as floats and the other way round.
std::vector<float> to_floats(const SafetensorsView& tensor);
std::vector<int64_t> to_integers(const SafetensorsView& tensor);

// Which files of a folder hold the model: those that model.safetensors.index.json names, or
// model.safetensors, or the one *.safetensors there is.
struct SafetensorsShards {
  std::vector<std::string> files;              // names in the folder, each once, ascending
  std::map<std::string, std::string> file_of;  // tensor name -> file name; empty without an index
};
SafetensorsShards find_safetensors(const std::string& folder);
// File names in an index must be plain names: no folder, no "..".
SafetensorsShards parse_safetensors_index(std::string_view json, const std::string& source);

}  // namespace fathom::file
