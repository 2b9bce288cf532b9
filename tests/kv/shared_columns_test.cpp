#include "kv/shared_columns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace fathom::kv {
namespace {

std::vector<int32_t> some(size_t n, int32_t below, uint64_t seed) {
  std::vector<int32_t> all(static_cast<size_t>(below));
  std::iota(all.begin(), all.end(), 0);
  std::shuffle(all.begin(), all.end(), std::mt19937_64(seed));
  all.resize(n);
  std::sort(all.begin(), all.end());
  return all;
}

TEST(SharedColumns, NeighboursWithTheSameColumnsShareThem) {
  std::vector<RowList> lists(6);
  for (size_t b = 0; b < 3; ++b) lists[b].columns = some(500, 4000, 1);
  for (size_t b = 4; b < 6; ++b) lists[b].columns = some(500, 4000, 2);
  const std::vector<size_t> ends(6, 4096);
  const auto sets = share_columns(lists, ends);
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_EQ(sets[0].begin, 0u);
  EXPECT_EQ(sets[0].end, 3u);
  EXPECT_EQ(sets[0].keys, lists[0].columns);
  EXPECT_EQ(sets[1].begin, 4u);
  EXPECT_EQ(sets[1].end, 6u);
}

// Columns that only later blocks see cost the earlier ones nothing.
TEST(SharedColumns, WhatLiesBehindABlockDoesNotCount) {
  const std::vector<int32_t> all = some(2000, 4096, 3);
  std::vector<RowList> lists(8);
  std::vector<size_t> ends;
  for (size_t b = 0; b < 8; ++b) {
    ends.push_back(3584 + 64 * (b + 1));
    const auto end = std::lower_bound(all.begin(), all.end(), static_cast<int32_t>(ends[b]));
    lists[b].columns.assign(all.begin(), end);
  }
  const auto sets = share_columns(lists, ends);
  ASSERT_EQ(sets.size(), 1u);
  EXPECT_EQ(sets[0].keys, all);
}

// Every block finds its columns in its set, and nobody passes over more than a quarter and a page.
TEST(SharedColumns, MasksNameEachBlocksOwn) {
  std::mt19937_64 rng(4);
  std::vector<RowList> lists(20);
  const std::vector<size_t> ends(20, 2000);
  for (RowList& list : lists) {
    list.columns = some(rng() % 4 == 0 ? 0 : 300, 2000, rng() % 3);
    if (!list.columns.empty()) list.columns.erase(list.columns.begin() + rng() % 200);
  }
  std::vector<int> covered(20);
  for (const ColumnSet& set : share_columns(lists, ends)) {
    for (size_t b = set.begin; b < set.end; ++b) {
      ++covered[b];
      const std::vector<int32_t>& columns = lists[b].columns;
      EXPECT_LE(set.keys.size(), columns.size() + columns.size() / 4 + kPieceTokens);
      const std::vector<uint64_t> masks = column_masks(set, columns);
      std::vector<int32_t> named;
      for (size_t i = 0; i < set.keys.size(); ++i) {
        if (masks[i / 64] >> (i % 64) & 1) named.push_back(set.keys[i]);
      }
      EXPECT_EQ(named, columns);
    }
  }
  for (size_t b = 0; b < 20; ++b) EXPECT_EQ(covered[b], lists[b].columns.empty() ? 0 : 1);
}

}  // namespace
}  // namespace fathom::kv
