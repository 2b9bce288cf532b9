// What every target does with the bytes it is given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"

namespace fathom::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Held in memory of exactly that size, so that a read beyond it is seen.
inline MappedFile file_of(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> copy(bytes, bytes + size);
  copy.shrink_to_fit();
  return MappedFile::from_bytes("fuzz", std::move(copy));
}

}  // namespace fathom::fuzz
