// PREFILL: which keys each block of queries reads while the prompt is being read.
//
// A policy looks at one kv head's keys and a chunk of its queries, and lists for every query head
// of the group and every block of queries what is read: pieces of 64 consecutive keys and single
// keys. The kernel masks what lies after a query, so a list may hold keys that the first queries of
// a block do not see yet. Policies are immutable: select() may run for many heads in parallel.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kv/view.h"

namespace fathom::kv {

inline constexpr size_t kPieceTokens = 64;

// What one block of queries of one query head reads. Pieces do not overlap and hold no column.
struct RowList {
  std::vector<int32_t> pieces;   // index of the first key of each, ascending
  std::vector<int32_t> columns;  // indices of single keys, ascending
};

// A chunk of the prompt: its queries are the last `queries.tokens` of the head's tokens.
struct PrefillView {
  HeadView head;
  QueryView queries;
};

class PrefillPolicy {
 public:
  virtual ~PrefillPolicy() = default;
  // Tokens of a block of queries: a multiple of 64. Blocks are counted from position 0 of the
  // sequence, so a chunk begins with what is left of a block.
  virtual size_t query_block() const = 0;
  // Fills lists[head of the group][block], `blocks` = number of blocks that the chunk touches, laid
  // out as lists[head * blocks + block]. Every query gets at least itself and key 0.
  virtual void select(const PrefillView& view, std::span<RowList> lists) const = 0;
};

// Blocks that queries [first, first + tokens) touch.
inline size_t touched_blocks(size_t first, size_t tokens, size_t block) {
  return tokens == 0 ? 0 : (first + tokens - 1) / block - first / block + 1;
}

}  // namespace fathom::kv
