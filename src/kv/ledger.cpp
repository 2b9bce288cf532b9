#include "kv/ledger.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"

namespace fathom::kv {
namespace {

using kernel::kPageTokens;

// Rounded down, for a range of which `left` of `had` tokens remain.
void scale(Ledger::Counts& counts, size_t left, size_t had) {
  for (uint64_t& n : counts) {
    n = static_cast<uint64_t>(static_cast<double>(n) * static_cast<double>(left) /
                              static_cast<double>(had));
  }
}

void join(Ledger::Counts& counts) {
  for (size_t r = 0; r < Ledger::kRanges; ++r) {
    counts[r] = 2 * r < Ledger::kRanges ? counts[2 * r] + counts[2 * r + 1] : 0;
  }
}

}  // namespace

void Ledger::join_ranges() {
  ++shift_;
  for (Pairs* pairs : {&read_, &baseline_}) {
    for (size_t q = 0; q < kRanges; ++q) {
      Counts row{};
      for (size_t k = 0; k < kRanges && 2 * q < kRanges; ++k) {
        row[k] = (*pairs)[2 * q][k] + (*pairs)[2 * q + 1][k];
      }
      join(row);
      (*pairs)[q] = row;
    }
  }
  join(stored_);
  join(fetched_);
}

void Ledger::resize(size_t length) {
  while (length > kRanges * range_tokens()) join_ranges();
  if (length < length_) {
    const size_t cut = range_of(length), left = length - cut * range_tokens();
    const size_t had = std::min(length_, (cut + 1) * range_tokens()) - cut * range_tokens();
    for (Pairs* pairs : {&read_, &baseline_}) {
      scale((*pairs)[cut], left, had);
      for (size_t q = cut + 1; q < kRanges; ++q) (*pairs)[q].fill(0);
    }
    begin_reply();
  }
  length_ = length;
}

void Ledger::add_keys(size_t position, size_t keys, uint64_t factor, Counts& counts) const {
  const size_t end = position + keys, last = range_of(end - 1);
  FATHOM_DCHECK(keys > 0 && last < kRanges);
  for (size_t r = range_of(position); r <= last; ++r) {
    const size_t first = std::max(position, r * range_tokens());
    counts[r] += (std::min(end, (r + 1) * range_tokens()) - first) * factor;
  }
}

void Ledger::add_baseline(const Tile& tile, size_t position, size_t keys) {
  add_keys(position, keys, tile.rows * tile.heads, baseline_[range_of(tile.last)]);
}

void Ledger::add_read(const Tile& tile, size_t position, size_t keys) {
  add_keys(position, keys, tile.rows * tile.heads, read_[range_of(tile.last)]);
}

void Ledger::begin_reply() {
  steps_ = 0;
  stored_.fill(0);
  fetched_.fill(0);
}

void Ledger::add_pages(std::span<const kernel::PageView> pages, size_t heads, Counts& counts) {
  Counts here{};
  for (const kernel::PageView& page : pages) {
    for_each_run(page,
                 [&](size_t position, size_t tokens) { add_keys(position, tokens, heads, here); });
  }
  for (size_t r = 0; r < kRanges; ++r) {
    if (here[r] == 0) continue;
    std::atomic_ref<uint64_t>(counts[r]).fetch_add(here[r], std::memory_order_relaxed);
  }
}

void Ledger::stored(std::span<const kernel::PageView> pages, size_t heads) {
  add_pages(pages, heads, stored_);
}

void Ledger::fetched(std::span<const kernel::PageView> pages, size_t heads) {
  add_pages(pages, heads, fetched_);
}

}  // namespace fathom::kv
