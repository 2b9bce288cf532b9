// A GGUF file made field by field, right or wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"

namespace fathom::test {

class GgufBytes {
 public:
  // "GGUF", version and the two counts.
  explicit GgufBytes(uint64_t tensors = 0, uint64_t keys = 0, uint32_t version = 3) {
    raw("GGUF").put(version).put(tensors).put(keys);
  }

  template <class T>
  GgufBytes& put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  GgufBytes& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  GgufBytes& text(std::string_view s) { return put<uint64_t>(s.size()).raw(s); }

  GgufBytes& u32(std::string_view key, uint32_t value) {
    return text(key).put<uint32_t>(4).put(value);
  }
  GgufBytes& string(std::string_view key, std::string_view value) {
    return text(key).put<uint32_t>(8).text(value);
  }
  // The elements follow by put() or text().
  GgufBytes& array(std::string_view key, uint32_t type, uint64_t count) {
    return text(key).put<uint32_t>(9).put(type).put(count);
  }
  GgufBytes& tensor(std::string_view name, const std::vector<uint64_t>& shape, uint32_t type = 0,
                    uint64_t offset = 0) {
    text(name).put<uint32_t>(static_cast<uint32_t>(shape.size()));
    for (const uint64_t axis : shape) put(axis);
    return put(type).put(offset);
  }
  // Zeros up to a multiple of `alignment`, then `count` bytes of data.
  GgufBytes& data(size_t count, size_t alignment = 32) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment + count);
    return *this;
  }

  const std::string& bytes() const { return bytes_; }
  MappedFile file(const std::string& name = "made-up.gguf") const {
    const auto view = std::as_bytes(std::span(bytes_));
    return MappedFile::from_bytes(name, {view.begin(), view.end()});
  }

 private:
  std::string bytes_;
};

}  // namespace fathom::test
