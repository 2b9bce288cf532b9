// The heart of byte-pair encoding: which neighbouring symbols become one, and in what order.
//
// Symbols are numbers that the caller gives to strings. A MergeTable says for each pair whether it
// merges, into what, and how urgently; a Merger applies the table to a sequence until nothing more
// merges, always taking the pair of the lowest rank, of equal ones the leftmost.
#pragma once

#include <cstdint>
#include <vector>

#include "text/pair_table.h"

namespace fathom::text {

struct Merge {
  static constexpr uint32_t kNever = UINT32_MAX;
  uint32_t rank = kNever;
  uint32_t symbol = 0;  // what the pair becomes
};

using MergeTable = PairTable<Merge>;

// Holds scratch memory: one a thread. The table must outlive it.
class Merger {
 public:
  explicit Merger(const MergeTable& table) : table_(table) {}

  // O(n log n) in the number of symbols.
  void merge(std::vector<uint32_t>& symbols);

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Node {  // a symbol in a list; `symbol` is kNone where it was merged into its left
                 // neighbour
    uint32_t symbol;
    uint32_t previous;
    uint32_t next;
  };

  void merge_short(std::vector<uint32_t>& symbols);
  void merge_long(std::vector<uint32_t>& symbols);
  void start_lists(const std::vector<uint32_t>& symbols);
  void offer(uint32_t left);
  void join(uint32_t left, uint32_t symbol);

  const MergeTable& table_;
  std::vector<Node> nodes_;
  std::vector<uint64_t> heap_;  // rank << 32 | left node, the smallest on top
};

}  // namespace fathom::text
