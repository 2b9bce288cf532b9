// The cache of one sequence: for every layer and kv head its pages.
//
// Invariant: every page of a head but the last is full, so token i of a head lies in page i / 64.
// Heads may differ in length: keep() leaves out tokens of one head. Positions travel with the
// tokens, so what is left out shifts nobody. fork() shares all pages; the first write to a shared
// page copies it, so a fork never changes its parent. Costly: fork() touches every page's counter.
//
// Threads: everything that changes the cache belongs to the engine's thread; write() and the const
// functions may run in parallel for different (layer, head).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kv/fetch/fetch_policy.h"
#include "kv/known_text.h"
#include "kv/ledger.h"
#include "kv/page_pool.h"
#include "kv/store/store.h"
#include "kv/view.h"

namespace fathom::kv {

struct CacheShape {
  size_t layers = 0;
  size_t kv_heads = 0;
  size_t head_dim = 0;
};

// What KEEP policies remember of a sequence between steps; filled by KeepStage.
struct KeepState {
  size_t width = 0;            // floats of a token's queries: heads * head_dim
  std::vector<float> rows;     // [layers][window][width], the last queries, rotated
  std::vector<size_t> filled;  // of each layer's window
  // [layer][kv head]: the attention that each stored token has received; of no use after a cut.
  std::vector<std::vector<float>> received;
  // [layer][kv head]: keys of the first tokens where they move, [sinks][head_dim], as written.
  std::vector<std::vector<float>> sinks;
  size_t evicted_at = 0;  // length() when tokens were last taken out
};

// One more key of a head, which stands for tokens that were left out: seen by every query, its
// logit raised by log(count).
struct ExtraToken {
  std::vector<float> k, v;  // [head_dim]; a HeadCache's: in its store's frame
  double count = 0;         // 0: there is none
};

// What StoreStage remembers between steps.
struct StoreState {
  size_t width = 0;            // floats of a token's queries: heads * head_dim
  std::vector<float> rows;     // [layers][window][width], the last queries, rotated
  std::vector<size_t> filled;  // of each layer's window
  size_t decided_at = 0;       // length() when codecs were last chosen
};

// The indexes of a FETCH policy over a sequence's heads; filled by FetchStage.
struct FetchState {
  struct Head {
    std::unique_ptr<FetchIndex> index;
    size_t told = 0;  // tokens that the index knows,
    size_t left = 0;  // and how many of these are still there
  };
  // Queries of a layer's prompt that the indexes have not been shown yet, as they lie in a step.
  struct Waiting {
    size_t first = 0;
    std::vector<float> q;  // [tokens][heads * head_dim], rotated
  };
  std::vector<Head> heads;       // [layer][kv_head]
  std::vector<Waiting> waiting;  // [layer]

  FetchState clone() const;
};

// The pages of one (layer, kv head).
class HeadCache {
 public:
  size_t length() const { return length_; }
  const StoreCodec& codec() const { return *codec_; }
  // That encoded a page; null: it is plain.
  const StoreCodec* coder(size_t page) const { return pages_[page]->coder; }
  // What kernels read: all pages, the last cut to its filled slots.
  std::span<const kernel::PageView> pages() const { return views_; }
  // Position of the stored token with this index.
  int32_t position(size_t index) const {
    const Page& page = *pages_[index / kernel::kPageTokens];
    const size_t slot = index % kernel::kPageTokens;
    return page.positions ? page.positions[slot] : page.first_position + static_cast<int32_t>(slot);
  }
  // Bytes of the page with this index.
  size_t page_bytes(size_t page) const { return pages_[page]->bytes; }
  // Copies a stored token to a slot of a plain page.
  void copy_token(size_t head_dim, size_t index, PageData to, size_t slot) const;
  // The same of the tokens with indices [first, first + n), n <= 64, to slots 0 and following.
  struct Run {
    size_t first, n;
  };
  void copy_run(size_t head_dim, Run run, PageData to) const;
  const ExtraToken& extra() const { return extra_; }

 private:
  friend class SequenceCache;
  const StoreCodec* codec_ = nullptr;  // the cache's Store has it
  ExtraToken extra_;
  HeadId id_;
  std::vector<PageRef> pages_;
  std::vector<kernel::PageView> views_;
  size_t sealed_ = 0;  // leading pages that are known to be sealed
  size_t length_ = 0;
};

class SequenceCache {
 public:
  SequenceCache(PagePool& pool, Store store, const CacheShape& shape);
  SequenceCache(SequenceCache&&) noexcept = default;
  SequenceCache& operator=(SequenceCache&&) noexcept = default;

  const CacheShape& shape() const { return shape_; }
  const StoreCodec& codec(size_t layer) const { return store_.of(layer); }
  const Store& store() const { return store_; }
  PagePool& pool() const { return *pool_; }

  // Tokens read so far, which is the position of the next one.
  size_t length() const { return length_; }
  // The same in tokens of the text, which are more where some were not chosen (KnownText).
  size_t text_length() const { return length_ - text_.chosen.places.size() + text_.chosen.of; }
  // The place in the text of the token at a position.
  int32_t text_place(int32_t position) const;
  const HeadCache& head(size_t layer, size_t kv_head) const {
    return heads_[layer * shape_.kv_heads + kv_head];
  }

  // Bytes that `tokens` more would take from the pool: new pages, and copies of shared tails.
  size_t bytes_for(size_t tokens) const;
  // Bytes in this sequence's pages, shared ones included.
  size_t bytes() const;
  // Those of them that hold tokens: all but what is still empty of each head's last page.
  size_t filled_bytes() const;
  // Bytes beside the pages that are there because of the text: indexes of FETCH, queries and scores
  // that policies keep, positions, extra tokens, what is known of the text.
  size_t side_bytes() const;

  // Makes room for tokens [length(), length() + tokens) in every head. They count as part of the
  // heads at once; the caller writes them before anybody attends to them. Throws
  // Error(kOutOfMemory) and changes nothing where the pool cannot give the pages.
  void extend(size_t tokens);
  // Writes one head's rows of the tokens from `first` on: k and v are [tokens][stride].
  struct Rows {
    const float* k = nullptr;
    const float* v = nullptr;
    size_t stride = 0;
    size_t tokens = 0;
  };
  void write(size_t layer, size_t kv_head, size_t first, const Rows& rows);
  // The keys of the stored tokens from `first` on as rows of head_dim floats, as many as `out`
  // holds.
  void read_keys(size_t layer, size_t kv_head, size_t first, std::span<float> out) const;
  void read_values(size_t layer, size_t kv_head, size_t first, std::span<float> out) const;

  // Encodes the pages that are full and far enough behind the end, where their codec has a smaller
  // format for them. Call it when a step has been written; a page that finds no room stays plain.
  void seal(ThreadPool& pool);
  // Encodes these plain, full pages, each with its codec.
  struct Seal {
    size_t layer, kv_head, page;
    const StoreCodec* coder;
    std::shared_ptr<const std::vector<uint16_t>> channels = {};  // see PageChooser
  };
  void seal(std::span<const Seal> pages, ThreadPool& pool);
  // Gives memory back that pages given back before leave empty (PagePool::compact). Views of pages
  // are other ones afterwards.
  void compact();

  SequenceCache fork() const;
  // Forgets the tokens at positions from `length` on. What was left out before stays left out, and
  // what is known of the text beyond its end (KnownText::next, open) is forgotten, too.
  // REQUIRES: length <= length().
  void truncate(size_t length);

  // Leaves only these tokens of one head, given by index, ascending. `values`, [kept][head_dim],
  // replaces their values; null leaves them. Pages that are kept whole stay shared. Throws
  // Error(kOutOfMemory) and changes nothing where the pool has no room for the copies.
  void keep(size_t layer, size_t kv_head, std::span<const int32_t> kept,
            const float* values = nullptr);
  // What is read of the tokens is counted from now on, for the account; forks go on counting.
  void keep_ledger();
  Ledger* ledger() const { return ledger_.get(); }  // null: nobody asked
  // Replaces the keys of a head's first tokens, [n][head_dim]. Throws Error(kOutOfMemory) where a
  // page that others share, or an encoded one, finds no room for its copy.
  void replace_keys(size_t layer, size_t kv_head, std::span<const float> keys);
  // Adds `count` tokens with these mean keys and values to what a head's extra token stands for.
  void add_extra(size_t layer, size_t kv_head, const ExtraToken& tokens);
  KeepState& keep_state() { return keep_; }
  KnownText& text() { return text_; }
  const KnownText& text() const { return text_; }
  FetchState& fetch_state() { return fetch_; }
  StoreState& store_state() { return state_; }
  const StoreState& store_state() const { return state_; }
  // Whether every head holds every token.
  bool whole() const { return whole_; }

 private:
  using PageRows = void (*)(const kernel::PageView&, size_t, float*);
  struct Plane {
    PageRows rows;       // of a page, in the store's frame
    const Frame* frame;  // may be null
  };
  void read_rows(const HeadCache& head, size_t first, std::span<float> out, Plane plane) const;
  void extend_head(HeadCache& head, size_t tokens);
  size_t seal_some(std::span<const Seal> pages, ThreadPool& pool);
  std::optional<PageRef> gather(const HeadCache& head, std::span<const int32_t> tokens,
                                const float* values);
  // A plain page of the same contents, to be written to.
  PageRef plain_copy(const HeadCache& head, const PageRef& page, size_t slots);
  bool last_page_needs_copy(const HeadCache& head) const;
  void set_view(HeadCache& head, size_t page) const;
  void cut_text();

  PagePool* pool_;
  Store store_;
  CacheShape shape_;
  std::vector<HeadCache> heads_;  // [layer][kv_head]
  size_t length_ = 0;
  bool whole_ = true;
  KeepState keep_;
  KnownText text_;
  StoreState state_;
  FetchState fetch_;
  std::unique_ptr<Ledger> ledger_;
};

// A head as policies see it: all stored keys and their positions, read into the given memory, which
// the view points to. Its scale and rotation are the caller's to set.
HeadView stored_head(const SequenceCache& cache, size_t layer, size_t kv_head, Buffer<float>& keys,
                     std::vector<int32_t>& positions);

}  // namespace fathom::kv
