// A map from pairs of numbers to small values, for lookups by the million.
//
// Filled once, then read from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fathom::text {

template <class Value>
class PairTable {
 public:
  PairTable() : slots_(16) {}

  // Where the pair is there already, the first value stays. REQUIRES: left < 2^32 - 1.
  void add(uint32_t left, uint32_t right, const Value& value) {
    if (2 * (used_ + 1) > slots_.size()) grow();
    Slot& slot = slots_[slot_of(key_of(left, right))];
    if (slot.key != kFree) return;
    slot = {key_of(left, right), value};
    ++used_;
  }

  // Value{} where the pair is not there.
  Value find(uint32_t left, uint32_t right) const {
    return slots_[slot_of(key_of(left, right))].value;
  }

  size_t size() const { return used_; }

 private:
  static constexpr uint64_t kFree = UINT64_MAX;
  struct Slot {
    uint64_t key = kFree;
    Value value{};
  };

  static uint64_t key_of(uint32_t left, uint32_t right) { return uint64_t{left} << 32 | right; }

  // The slot that holds the key, or the free one where it belongs.
  size_t slot_of(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    size_t slot = (key * 0x9E3779B97F4A7C15u >> 29) & mask;  // the upper bits mix best
    while (slots_[slot].key != key && slots_[slot].key != kFree) slot = (slot + 1) & mask;
    return slot;
  }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (const Slot& entry : old) {
      if (entry.key != kFree) slots_[slot_of(entry.key)] = entry;
    }
  }

  std::vector<Slot> slots_;  // open addressing; a power of two, at most half full
  size_t used_ = 0;
};

}  // namespace fathom::text
