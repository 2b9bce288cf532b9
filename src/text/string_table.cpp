#include "text/string_table.h"

#include "text/hash.h"

namespace fathom::text {

size_t StringTable::slot_of(std::string_view string) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = hash_bytes(string) & mask;
  while (slots_[slot] != kFree && (*this)[slots_[slot]] != string) slot = (slot + 1) & mask;
  return slot;
}

std::optional<uint32_t> StringTable::find(std::string_view string) const {
  const uint32_t number = slots_[slot_of(string)];
  if (number == kFree) return std::nullopt;
  return number;
}

uint32_t StringTable::add(std::string_view string) {
  if (2 * (size() + 1) > slots_.size()) grow();
  const size_t slot = slot_of(string);
  if (slots_[slot] == kFree) {
    slots_[slot] = static_cast<uint32_t>(size());
    bytes_ += string;
    ends_.push_back(bytes_.size());
  }
  return slots_[slot];
}

void StringTable::grow() {
  slots_.assign(2 * slots_.size(), kFree);
  for (uint32_t i = 0; i < size(); ++i) slots_[slot_of((*this)[i])] = i;
}

}  // namespace fathom::text
