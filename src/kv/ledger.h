// What PREFILL and FETCH did to a sequence, by position: the counts behind `--explain`.
//
// Positions are counted in at most 64 ranges of 64 * 2^n tokens; when a text outgrows them, ranges
// are joined in pairs, so a ledger's size is constant. A cache has one only where somebody asked
// for it. What KEEP and STORE did is read from the cache itself: kv/account.h.
//
// Pairs of queries and keys are counted in tiles, as kernels compute them: up to 64 queries that
// share a page, and 64 keys. The baseline is what the model's own attention reads (its windows are
// no saving).
//
// Threads: the engine's; fetched() and stored() may run in parallel.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel/attention.h"

namespace fathom::kv {

class Ledger {
 public:
  static constexpr size_t kRanges = 64;
  using Counts = std::array<uint64_t, kRanges>;

  size_t range_tokens() const { return size_t{64} << shift_; }
  size_t range_of(size_t position) const { return position / 64 >> shift_; }

  // The text is `length` tokens long now. What is cut off leaves the counts; of a range that is cut
  // through, in proportion.
  void resize(size_t length);
  size_t length() const { return length_; }

  // PREFILL. `rows` queries of one page, as many heads at once as `heads`.
  struct Tile {
    size_t last = 0;  // position of the last query
    size_t rows = 0;
    size_t heads = 1;
  };
  // `keys` keys from `position` on: that the model's attention would read, that were read.
  void add_baseline(const Tile& tile, size_t position, size_t keys);
  void add_read(const Tile& tile, size_t position, size_t keys);

  // FETCH. Counts since the last reply began.
  void begin_reply();
  void add_step() { ++steps_; }
  // Keys of `heads` query heads that are there, and those of them that are read (slots of pages).
  void stored(std::span<const kernel::PageView> pages, size_t heads);
  void fetched(std::span<const kernel::PageView> pages, size_t heads);

  // Pairs of queries in range `query` with keys in range `key`.
  uint64_t read(size_t query, size_t key) const { return read_[query][key]; }
  uint64_t baseline(size_t query, size_t key) const { return baseline_[query][key]; }
  const Counts& keys_stored() const { return stored_; }
  const Counts& keys_fetched() const { return fetched_; }
  size_t steps() const { return steps_; }

 private:
  using Pairs = std::array<Counts, kRanges>;  // [query range][key range]
  void join_ranges();
  void add_keys(size_t position, size_t keys, uint64_t factor, Counts& counts) const;
  void add_pages(std::span<const kernel::PageView> pages, size_t heads, Counts& counts);

  size_t shift_ = 0;
  size_t length_ = 0;
  size_t steps_ = 0;
  Pairs read_{}, baseline_{};
  Counts stored_{}, fetched_{};
};

// fn(position, tokens) for runs of a page's visible tokens at consecutive positions.
template <class Fn>
void for_each_run(const kernel::PageView& page, Fn fn) {
  const auto filled = static_cast<size_t>(page.tokens);
  const uint64_t there =
      filled == kernel::kPageTokens ? page.slots : page.slots & ((uint64_t{1} << filled) - 1);
  const auto position = [&](size_t slot) {
    return page.positions ? page.positions[slot] : page.first_position + static_cast<int32_t>(slot);
  };
  for (size_t slot = 0; slot < filled;) {
    const size_t first = slot++;
    if ((there >> first & 1) == 0) continue;
    while (slot < filled && (there >> slot & 1) != 0 && position(slot) == position(slot - 1) + 1) {
      ++slot;
    }
    fn(static_cast<size_t>(position(first)), slot - first);
  }
}

}  // namespace fathom::kv
