// Bytes of a cache that attention moves, counted page by page where pages are read.
//
// A page that query heads of a group, or several sequences, share in one pass counts once; one that
// is read again for another query head counts again. A page that is cut counts as a whole, the last
// page by its tokens. Prompts that a PREFILL policy reads sparsely are not counted, nor what KEEP
// policies look at to decide.
#pragma once

#include <atomic>
#include <cstddef>

#include "kv/sequence_cache.h"

namespace fathom::kv {

// Threads: may be added to from any.
struct Traffic {
  std::atomic<size_t> read{0};     // keys, values and scales that attention multiplies
  std::atomic<size_t> index{0};    // what FETCH reads to choose: its index, keys it looks at itself
  std::atomic<size_t> written{0};  // keys and values of new tokens, plain

  size_t total() const { return read + index + written; }
};

// Of the page's filled slots.
inline size_t page_traffic(const HeadCache& head, size_t page) {
  const auto tokens = static_cast<size_t>(head.pages()[page].tokens);
  return head.page_bytes(page) * tokens / kernel::kPageTokens;
}

enum class Plane : uint8_t { kKeys, kValues };
// Of the keys, or the values, of all pages that the runs touch; a page in two runs counts once.
size_t plane_traffic(const HeadCache& head, size_t head_dim, const Runs& runs, Plane plane);

}  // namespace fathom::kv
