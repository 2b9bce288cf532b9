// Sealed blocks of a head's past, each known by a representative key: the core of InfLLM and
// EM-LLM.
//
// A head is [init | sealed blocks | remainder | local window]. Init keys, the remainder and the
// window are always read. When a block has left the window, the keys that received most attention
// while they were in it are averaged into its representative, one for each query head. Scores of
// this attention come from queries that observe() is shown, which see the window at true distances
// and everything else (init, chosen blocks, remainder) at the one distance `local` - 1, as the
// method has it. What is read is then attended to at true positions, which is ours.
#pragma once

#include <functional>

#include "kv/fetch/fetch_policy.h"
#include "kv/top_k.h"

namespace fathom::kv {

struct BlockMemoryOptions {
  size_t init = 128;           // first keys
  size_t local = 4096;         // window
  size_t representatives = 4;  // keys that are averaged
  size_t observed = 512;       // queries at a time while the prompt is read
};

class BlockMemory {
 public:
  // Where the block that begins at `first` ends, given that keys before `limit` have left the
  // window; 0: not yet.
  using Cut = std::function<size_t(size_t first, size_t limit)>;
  BlockMemory(BlockMemoryOptions options, Cut cut) : options_(options), cut_(std::move(cut)) {}

  size_t blocks() const { return ends_.size(); }
  Run block(size_t b) const;
  // [blocks][group][head_dim]
  std::span<const float> representatives() const { return representatives_; }

  // In place of the one it was made with, for what is copied with its owner.
  void use(Cut cut) { cut_ = std::move(cut); }

  void update(const HeadView& head);
  // scores[b] += mean query, at distance local - 1, of every head . its representative of b.
  void rank(const HeadView& head, const QueryView& queries, std::vector<float>& scores);
  // What observe() reads.
  void reads(const QueryView& queries, std::span<const int32_t> chosen, FetchReads& out) const;
  // Adds the attention that the window's keys receive, when `chosen` blocks are read beside it, and
  // seals what has left the window by the end of these queries.
  void observe(const HeadView& head, const QueryView& queries, std::span<const int32_t> chosen);
  // What a query reads beside `chosen` blocks, and these, ascending.
  void read(size_t tokens, std::span<const int32_t> chosen, Runs& runs) const;
  size_t bytes() const;

 private:
  size_t remainder() const { return ends_.empty() ? init_ : ends_.back(); }
  void add_local_scores(const HeadView& head, const QueryView& queries, const Runs& distant);
  void seal(const HeadView& head, size_t group);
  void add_representative(const HeadView& head, size_t group, Run block);

  BlockMemoryOptions options_;
  Cut cut_;
  size_t init_ = 0;      // init keys that have left the window so far
  size_t observed_ = 0;  // queries seen
  std::vector<size_t> ends_;
  std::vector<float> representatives_;
  std::vector<std::vector<float>> local_scores_;  // [group][observed_]
  TopK best_;
};

}  // namespace fathom::kv
