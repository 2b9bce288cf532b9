#include "text/byte_trie.h"

namespace fathom::text {

void ByteTrie::add(std::string_view string, uint32_t number) {
  if (string.empty()) return;
  first_[static_cast<uint8_t>(string[0])] = true;
  uint32_t node = 0;
  for (const char c : string) {
    const uint8_t byte = static_cast<uint8_t>(c);
    uint32_t next = edges_.find(node, byte);
    if (next == 0) {
      next = static_cast<uint32_t>(numbers_.size());
      numbers_.push_back(kNone);
      edges_.add(node, byte, next);
    }
    node = next;
  }
  if (numbers_[node] == kNone) numbers_[node] = number;
}

std::optional<ByteTrie::Found> ByteTrie::longest_prefix(std::string_view text) const {
  std::optional<Found> best;
  uint32_t node = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    node = edges_.find(node, static_cast<uint8_t>(text[i]));
    if (node == 0) break;
    if (numbers_[node] != kNone) best = Found{numbers_[node], i + 1};
  }
  return best;
}

}  // namespace fathom::text
