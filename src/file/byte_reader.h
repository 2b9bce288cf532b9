// Reads little-endian fields from untrusted bytes. Every read is checked; a failure throws
// Error(kBadFile) naming the file, the field and the offset.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace fathom::file {

class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, std::string_view source)
      : bytes_(bytes), source_(source) {}

  size_t offset() const { return offset_; }
  size_t left() const { return bytes_.size() - offset_; }

  template <class T>
  requires std::integral<T> || std::floating_point<T> T read(std::string_view field) {
    T value;
    std::memcpy(&value, take(sizeof(T), field).data(), sizeof(T));
    return value;
  }

  std::span<const std::byte> take(uint64_t count, std::string_view field) {
    if (count > left()) {
      throw bad_file(source_, "ends at byte {} inside {} ({} bytes wanted at {})", bytes_.size(),
                     field, count, offset_);
    }
    const auto part = bytes_.subspan(offset_, count);
    offset_ += count;
    return part;
  }

 private:
  std::span<const std::byte> bytes_;
  std::string source_;
  size_t offset_ = 0;
};

}  // namespace fathom::file
