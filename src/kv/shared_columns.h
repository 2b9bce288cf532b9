// Single keys that neighbouring blocks of queries have in common: gathered into pages once, read by
// all of them. A block that lacks some of a set's keys masks them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

// The columns of blocks [begin, end) of one query head.
struct ColumnSet {
  size_t begin = 0, end = 0;
  std::vector<int32_t> keys;  // ascending
};

// Sets for one query head's lists; ends[b] is the index after block b's last query. Blocks join the
// set before them while nobody has to pass over more than a quarter of what it reads; those without
// columns are in none.
std::vector<ColumnSet> share_columns(std::span<const RowList> lists, std::span<const size_t> ends);

// Bit i: set.keys[64 * page + i] is among the columns of a block of the set.
std::vector<uint64_t> column_masks(const ColumnSet& set, std::span<const int32_t> columns);

}  // namespace fathom::kv
