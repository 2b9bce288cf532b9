// The merger against the definition of byte-pair encoding, on random tables and sequences.
#include "text/merges.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace fathom::text {
namespace {

using Symbols = std::vector<uint32_t>;
using NaiveTable = std::map<std::pair<uint32_t, uint32_t>, Merge>;

// The definition: again and again look at every pair and merge the first of the lowest rank.
Symbols naive_merge(const NaiveTable& table, Symbols symbols) {
  while (true) {
    const Merge* best = nullptr;
    size_t at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = table.find({symbols[i], symbols[i + 1]});
      if (found == table.end()) continue;
      if (best == nullptr || found->second.rank < best->rank) {
        best = &found->second;
        at = i;
      }
    }
    if (best == nullptr) return symbols;
    symbols[at] = best->symbol;
    symbols.erase(symbols.begin() + at + 1);
  }
}

struct RandomTable {
  MergeTable fast;
  NaiveTable naive;
};

// `distinct_ranks` ranks for `merges` merges: where there are fewer, ranks tie.
RandomTable random_table(std::mt19937& rng, uint32_t letters, uint32_t merges,
                         uint32_t distinct_ranks) {
  RandomTable table;
  uint32_t next = letters;
  for (uint32_t i = 0; i < merges; ++i) {
    const uint32_t left = rng() % next, right = rng() % next;
    const Merge merge{static_cast<uint32_t>(rng() % distinct_ranks), next};
    if (!table.naive.emplace(std::pair(left, right), merge).second) continue;
    table.fast.add(left, right, merge);
    ++next;
  }
  return table;
}

void expect_equal_on_random_input(uint32_t distinct_ranks) {
  std::mt19937 rng(distinct_ranks);
  for (int round = 0; round < 300; ++round) {
    const uint32_t letters = 1 + rng() % 4;
    const RandomTable table = random_table(rng, letters, 1 + rng() % 40, distinct_ranks);
    Merger merger(table.fast);
    for (const size_t length : {0, 1, 2, 3, 20, 47, 48, 49, 50, 200}) {
      Symbols symbols(length);
      for (uint32_t& symbol : symbols) symbol = rng() % letters;
      const Symbols want = naive_merge(table.naive, symbols);
      merger.merge(symbols);
      ASSERT_EQ(symbols, want) << "round " << round << " length " << length;
    }
  }
}

TEST(Merger, IsByDefinition) { expect_equal_on_random_input(1u << 30); }
TEST(Merger, BreaksTiesFromTheLeft) { expect_equal_on_random_input(3); }
TEST(Merger, WorksWithOneRankForAll) { expect_equal_on_random_input(1); }

// Quadratic time would take hours here.
TEST(Merger, IsNotQuadratic) {
  MergeTable table;
  for (uint32_t i = 0; i < 24; ++i) table.add(i, i, {i, i + 1});  // pairs of equals double
  Merger merger(table);
  Symbols symbols(3u << 20, 0);
  merger.merge(symbols);
  EXPECT_EQ(symbols, (Symbols{21, 20}));
}

TEST(PairTable, KeepsTheFirstAndFindsAll) {
  PairTable<uint32_t> table;
  for (uint32_t i = 0; i < 10'000; ++i) table.add(i * 7, i * i, i + 1);
  table.add(7, 1, 99);  // there already, as 2
  EXPECT_EQ(table.size(), 10'000u);
  for (uint32_t i = 0; i < 10'000; ++i) ASSERT_EQ(table.find(i * 7, i * i), i + 1);
  EXPECT_EQ(table.find(1, 1), 0u);
}

}  // namespace
}  // namespace fathom::text
