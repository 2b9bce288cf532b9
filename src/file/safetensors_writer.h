// Writing safetensors files: named tensors and text, in one go.
//
// Wider elements come first and the header is padded to eight bytes, so every tensor is aligned to
// its elements. The file appears under its name only when it is complete.
#pragma once

#include <map>
#include <span>
#include <string>

#include "file/safetensors.h"

namespace fathom::file {

// Throws Error(kUsage) for a duplicate or reserved name or a size that is not the shape's,
// Error(kBadFile) where the file cannot be written.
void write_safetensors(const std::string& path, std::span<const SafetensorsView> tensors,
                       const std::map<std::string, std::string>& metadata = {});

// A view of values that are in memory; `values` must outlive it.
template <class T>
SafetensorsView safetensors_view(std::string name, ElementType type, std::vector<uint64_t> shape,
                                 std::span<const T> values) {
  return {std::move(name), type, std::move(shape), std::as_bytes(values)};
}

}  // namespace fathom::file
