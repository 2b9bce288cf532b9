// A set of byte strings with a number each, searched for the longest one that a text begins with.
//
// Filled once, then read from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/pair_table.h"

namespace fathom::text {

class ByteTrie {
 public:
  struct Found {
    uint32_t number = 0;
    size_t length = 0;
  };

  ByteTrie() : numbers_(1, kNone) {}

  // Where the string is there already, the first entry stays. Empty strings are ignored.
  void add(std::string_view string, uint32_t number);

  // O(length of the longest string).
  std::optional<Found> longest_prefix(std::string_view text) const;

  bool empty() const { return numbers_.size() == 1; }
  // Whether some string begins with this byte.
  bool may_begin(char byte) const { return first_[static_cast<uint8_t>(byte)]; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  PairTable<uint32_t> edges_;      // (node, byte) -> the node behind it; 0, the root, where none is
  std::vector<uint32_t> numbers_;  // node -> the number of the string that ends there
  std::array<bool, 256> first_{};
};

}  // namespace fathom::text
