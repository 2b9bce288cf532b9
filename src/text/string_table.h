// Byte strings numbered 0, 1, 2, ... in the order they were added, and found by their bytes.
//
// Filled once, then read from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::text {

class StringTable {
 public:
  StringTable() : slots_(16, kFree) {}

  // The string's number: a new one where it is not there yet.
  uint32_t add(std::string_view string);
  std::optional<uint32_t> find(std::string_view string) const;

  // REQUIRES: number < size().
  std::string_view operator[](uint32_t number) const {
    return std::string_view(bytes_).substr(ends_[number], ends_[number + 1] - ends_[number]);
  }
  size_t size() const { return ends_.size() - 1; }

 private:
  static constexpr uint32_t kFree = UINT32_MAX;

  // The slot that holds the string, or the free one where it belongs.
  size_t slot_of(std::string_view string) const;
  void grow();

  std::string bytes_;               // all strings, one after the other
  std::vector<size_t> ends_ = {0};  // string i is bytes_[ends_[i], ends_[i + 1])
  std::vector<uint32_t> slots_;     // open addressing; a power of two, at most half full
};

}  // namespace fathom::text
