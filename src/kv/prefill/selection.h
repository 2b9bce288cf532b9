// What prefill policies share: the blocks of a chunk, means of blocks, and lists of keys put
// together page by page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernel/score.h"
#include "kv/prefill/prefill_policy.h"
#include "kv/top_k.h"

namespace fathom::kv {

// The blocks that a chunk's queries touch. Block b of the chunk is block number(b) of the head; its
// queries are those with indices [begin(b), end(b)), fewer than `block` at either end of the chunk.
class ChunkBlocks {
 public:
  ChunkBlocks(const PrefillView& view, size_t block)
      : first_(view.first()), tokens_(view.head.tokens), block_(block) {}

  size_t count() const { return touched_blocks(first_, tokens_ - first_, block_); }
  size_t number(size_t b) const { return first_ / block_ + b; }
  size_t begin(size_t b) const { return number(b) * block_ > first_ ? number(b) * block_ : first_; }
  size_t end(size_t b) const {
    const size_t full = (number(b) + 1) * block_;
    return full < tokens_ ? full : tokens_;
  }

 private:
  size_t first_, tokens_, block_;
};

// The kernels of this machine, and the query with index `index` of a head of the group.
const kernel::ScoreKernels& score_kernels();
// Products of queries, or of means of them, with the head's keys, in the arithmetic of attention:
// rounded to BF16 where attention rounds and the machine gains by it.
void head_scores(const HeadView& head, const kernel::ScoreArgs& args);
inline const float* query_at(const PrefillView& view, size_t group_head, size_t index) {
  return view.queries.row(index - view.first(), group_head, view.head.head_dim);
}

// Mean of `n` rows of mean.size() floats whose starts are `stride` floats apart.
void mean_rows(const float* rows, size_t stride, size_t n, std::span<float> mean);
// Means of the keys of each block of the head, [ceil(tokens / block)][head_dim].
std::vector<float> key_block_means(const HeadView& head, size_t block);
// Means of the chunk's queries of each block of the chunk, [count][head_dim].
std::vector<float> query_block_means(const PrefillView& view, size_t group_head, size_t block);

// A row's keys while they are being chosen. Whole pages of 64 become pieces, also where every key
// of one was chosen singly; what is left are columns. Reused from row to row.
class RowDraft {
 public:
  explicit RowDraft(size_t tokens);
  void clear();
  void add_range(size_t begin, size_t end);             // every page that the range touches
  void add_tokens(std::span<const int32_t> ascending);  // of each call, and from call to call
  void add_block(size_t number, size_t block) { add_range(number * block, (number + 1) * block); }
  // Keys with indices below `end`.
  void write(size_t end, RowList& out) const;

 private:
  std::vector<uint8_t> pages_;
  std::vector<int32_t> tokens_;
};

// Everything below `end`.
void list_dense(size_t end, RowList& out);

// The first `sinks` keys and, for each query, the last `window` with itself: exact to the token.
struct Streaming {
  size_t sinks = 0, window = 0;
};
// For queries with indices [begin, end).
void list_streaming(size_t begin, size_t end, const Streaming& streaming, RowList& out);

}  // namespace fathom::kv
