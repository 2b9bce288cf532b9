#include "text/merges.h"

#include <algorithm>
#include <array>
#include <functional>

namespace fathom::text {
namespace {

// Up to here looking at every pair for the lowest rank is faster than keeping a heap.
constexpr size_t kShort = 48;

}  // namespace

void Merger::merge(std::vector<uint32_t>& symbols) {
  if (symbols.size() <= kShort) {
    merge_short(symbols);
  } else {
    merge_long(symbols);
  }
}

void Merger::merge_short(std::vector<uint32_t>& symbols) {
  std::array<Merge, kShort> pairs;  // pairs[i]: of symbols i and i + 1
  size_t count = symbols.empty() ? 0 : symbols.size() - 1;
  for (size_t i = 0; i < count; ++i) pairs[i] = table_.find(symbols[i], symbols[i + 1]);
  while (count > 0) {
    const auto best = std::min_element(pairs.begin(), pairs.begin() + count,
                                       [](Merge a, Merge b) { return a.rank < b.rank; });
    if (best->rank == Merge::kNever) break;
    const size_t at = best - pairs.begin();
    symbols[at] = best->symbol;
    symbols.erase(symbols.begin() + at + 1);
    std::copy(best + 1, pairs.begin() + count, best);
    --count;
    if (at > 0) pairs[at - 1] = table_.find(symbols[at - 1], symbols[at]);
    if (at < count) pairs[at] = table_.find(symbols[at], symbols[at + 1]);
  }
}

void Merger::merge_long(std::vector<uint32_t>& symbols) {
  start_lists(symbols);
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const uint64_t top = heap_.back();
    heap_.pop_back();
    const uint32_t left = static_cast<uint32_t>(top);
    const Node& node = nodes_[left];
    if (node.symbol == kNone || node.next == kNone) continue;
    // An entry of an earlier neighbour may still be here; it counts only if its rank is today's.
    const Merge merge = table_.find(node.symbol, nodes_[node.next].symbol);
    if (merge.rank == top >> 32) join(left, merge.symbol);
  }
  symbols.clear();
  for (uint32_t i = 0; i != kNone; i = nodes_[i].next) symbols.push_back(nodes_[i].symbol);
}

void Merger::start_lists(const std::vector<uint32_t>& symbols) {
  const uint32_t count = static_cast<uint32_t>(symbols.size());
  nodes_.resize(count);
  heap_.clear();
  for (uint32_t i = 0; i < count; ++i) {
    nodes_[i] = {symbols[i], i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
  }
  for (uint32_t i = 0; i + 1 < count; ++i) {
    const Merge merge = table_.find(symbols[i], symbols[i + 1]);
    if (merge.rank != Merge::kNever) heap_.push_back(uint64_t{merge.rank} << 32 | i);
  }
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
}

void Merger::offer(uint32_t left) {
  const Node& node = nodes_[left];
  if (node.next == kNone) return;
  const Merge merge = table_.find(node.symbol, nodes_[node.next].symbol);
  if (merge.rank == Merge::kNever) return;
  heap_.push_back(uint64_t{merge.rank} << 32 | left);
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

void Merger::join(uint32_t left, uint32_t symbol) {
  Node& node = nodes_[left];
  const uint32_t right = node.next;
  node.symbol = symbol;
  node.next = nodes_[right].next;
  if (node.next != kNone) nodes_[node.next].previous = left;
  nodes_[right].symbol = kNone;
  if (node.previous != kNone) offer(node.previous);
  offer(left);
}

}  // namespace fathom::text
