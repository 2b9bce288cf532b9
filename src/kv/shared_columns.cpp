#include "kv/shared_columns.h"

#include <algorithm>

#include "base/checked.h"

namespace fathom::kv {
namespace {

// Whether no block of [begin, end) passes over too many of `keys`, of which it sees those before
// its end.
bool fits(std::span<const int32_t> keys, std::span<const RowList> lists,
          std::span<const size_t> ends) {
  for (size_t b = 0; b < lists.size(); ++b) {
    const auto seen = std::lower_bound(keys.begin(), keys.end(), static_cast<int32_t>(ends[b]));
    const size_t own = lists[b].columns.size();
    if (static_cast<size_t>(seen - keys.begin()) > own + own / 4 + kPieceTokens) return false;
  }
  return true;
}

}  // namespace

std::vector<ColumnSet> share_columns(std::span<const RowList> lists, std::span<const size_t> ends) {
  std::vector<ColumnSet> sets;
  std::vector<int32_t> both;
  bool open = false;  // whether the last set may grow
  for (size_t b = 0; b < lists.size(); ++b) {
    const std::vector<int32_t>& columns = lists[b].columns;
    if (columns.empty()) {
      open = false;
      continue;
    }
    if (open) {
      ColumnSet& last = sets.back();
      both.clear();
      std::set_union(last.keys.begin(), last.keys.end(), columns.begin(), columns.end(),
                     std::back_inserter(both));
      const size_t count = b + 1 - last.begin;
      if (fits(both, lists.subspan(last.begin, count), ends.subspan(last.begin, count))) {
        last.keys.swap(both);
        last.end = b + 1;
        continue;
      }
    }
    sets.push_back({b, b + 1, columns});
    open = true;
  }
  return sets;
}

std::vector<uint64_t> column_masks(const ColumnSet& set, std::span<const int32_t> columns) {
  std::vector<uint64_t> masks(ceil_div(set.keys.size(), kPieceTokens));
  size_t i = 0;
  for (const int32_t key : columns) {
    while (set.keys[i] != key) ++i;
    masks[i / kPieceTokens] |= uint64_t{1} << (i % kPieceTokens);
  }
  return masks;
}

}  // namespace fathom::kv
