// PREFILL: which keys each block of queries reads while the prompt is being read.
//
// A policy looks at one kv head's keys and a chunk of its queries, and lists for every query head
// of the group and every block of queries what is read: pieces of 64 consecutive keys and single
// keys. The kernel masks what lies after a query, so a list may hold keys that the first queries of
// a block do not see yet. Policies are immutable: select() may run for many heads in parallel.
//
// Everything is counted in indices of the head's stored tokens, which are positions as long as
// nothing was evicted.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kv/view.h"

namespace fathom::kv {

inline constexpr size_t kPieceTokens = 64;

// What one block of queries of one query head reads. Pieces do not overlap and hold no column; the
// last may reach beyond the block's queries.
struct RowList {
  std::vector<int32_t> pieces;   // index of the first key of each, ascending
  std::vector<int32_t> columns;  // indices of single keys, ascending
  // Where `window` is not 0, query i sees of the list only keys j < sinks and keys i - j < window:
  // streaming heads are exact to the token.
  int32_t sinks = 0, window = 0;
};

// Queries that read the same keys wherever both stand, which no list of a block can say. No row
// finds a key of its bundle in its list, or in another bundle.
struct Bundle {
  struct Row {
    uint32_t head = 0;   // of the group
    uint32_t query = 0;  // its index among the head's tokens
  };
  std::vector<Row> rows;       // each sees every key of the bundle and of its sample
  std::vector<int32_t> keys;   // indices, ascending
  size_t sample = 0;           // of Bundles::samples: read, too,
  std::vector<uint64_t> seen;  // as far as bit i % 64 of seen[i / 64] is set for its key i
};
// Keys that stand for those that nobody reads: each counts `weight` times in the softmax.
struct Sample {
  std::vector<int32_t> keys;  // indices, ascending; a key that was drawn twice is there twice
  float weight = 1.0f;
};
struct Bundles {
  std::vector<Sample> samples;
  std::vector<std::vector<Bundle>> rounds;  // no row is in two bundles of one round
};

// A chunk of the prompt: its queries are the last `queries.tokens` of the head's tokens.
struct PrefillView {
  HeadView head;
  QueryView queries;
  size_t prompt = 0;  // tokens that the head will hold when the prompt is read; 0: not known

  size_t first() const { return head.tokens - queries.tokens; }  // index of the first query
  size_t prompt_end() const { return prompt > head.tokens ? prompt : head.tokens; }
};

class PrefillPolicy {
 public:
  virtual ~PrefillPolicy() = default;
  // Tokens of a block of queries: a multiple of 64. Blocks are counted from index 0 of the
  // head, so a chunk begins with what is left of a block.
  virtual size_t query_block() const = 0;
  // Tokens of a prompt that it is best to decide on together: deciding costs time for every chunk,
  // and the last queries of a chunk stand for all of them.
  virtual size_t chunk() const { return 4096; }
  // Fills lists[head of the group][block], `blocks` = number of blocks that the chunk touches, laid
  // out as lists[head * blocks + block]. Every query gets at least itself and key 0.
  virtual void select(const PrefillView& view, std::span<RowList> lists) const = 0;
  // What the chunk's queries read beside their lists; `out` is empty.
  virtual void bundle(const PrefillView& /*view*/, Bundles& /*out*/) const {}
};

// Blocks that queries [first, first + tokens) touch: view.first(), view.queries.tokens.
inline size_t touched_blocks(size_t first, size_t tokens, size_t block) {
  return tokens == 0 ? 0 : (first + tokens - 1) / block - first / block + 1;
}

}  // namespace fathom::kv
