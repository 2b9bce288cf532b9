#include "kv/ledger.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace fathom::kv {
namespace {

// Every pair by its positions: what a ledger is a coarse picture of.
struct SlowLedger {
  std::map<std::pair<size_t, size_t>, uint64_t> read;  // (query page, key)

  void add(const Ledger::Tile& tile, size_t position, size_t keys) {
    for (size_t k = position; k < position + keys; ++k) {
      read[{tile.last / 64, k}] += tile.rows * tile.heads;
    }
  }
};

TEST(Ledger, CountsAreSumsOverRangesHoweverLongTheTextGrew) {
  for (const unsigned seed : {1u, 2u, 3u}) {
    std::mt19937 random(seed);
    const auto ledger = std::make_unique<Ledger>();
    SlowLedger slow;
    size_t length = 0;
    for (int step = 0; step < 300; ++step) {
      length += 1 + random() % 200;
      ledger->resize(length);
      const size_t last = random() % length, first = random() % (last / 64 * 64 + 1);
      const Ledger::Tile tile{last, 1 + random() % 64, 1 + random() % 3};
      const size_t keys = 1 + random() % ((last / 64 + 1) * 64 - first);
      ledger->add_read(tile, first, keys);
      slow.add(tile, first, keys);
    }
    EXPECT_GT(length, Ledger::kRanges * 64) << "the text never outgrew its ranges";
    EXPECT_LE(ledger->range_of(length - 1), Ledger::kRanges - 1);
    EXPECT_GE(ledger->range_of(length - 1), Ledger::kRanges / 2 - 1) << "ranges are too coarse";
    std::map<std::pair<size_t, size_t>, uint64_t> want;
    for (const auto& [at, n] : slow.read) {
      want[{ledger->range_of(at.first * 64), ledger->range_of(at.second)}] += n;
    }
    for (size_t q = 0; q < Ledger::kRanges; ++q) {
      for (size_t k = 0; k < Ledger::kRanges; ++k) {
        const auto found = want.find({q, k});
        ASSERT_EQ(ledger->read(q, k), found == want.end() ? 0 : found->second)
            << "seed " << seed << " query range " << q << " key range " << k;
        ASSERT_EQ(ledger->baseline(q, k), 0u);
      }
    }
  }
}

TEST(Ledger, WhatIsCutOffLeavesTheCounts) {
  Ledger ledger;
  ledger.resize(256);
  for (size_t page = 0; page < 4; ++page) {
    ledger.add_read({page * 64 + 63, 64}, 0, 64);
    ledger.add_baseline({page * 64 + 63, 64}, 0, 64);
  }
  ledger.resize(96);
  EXPECT_EQ(ledger.read(0, 0), 64u * 64);
  EXPECT_EQ(ledger.read(1, 0), 32u * 64) << "half of the range is left";
  EXPECT_EQ(ledger.read(2, 0), 0u);
  EXPECT_EQ(ledger.baseline(3, 0), 0u);
}

TEST(Ledger, FetchCountsVisibleSlotsAtTheirPositions) {
  Ledger ledger;
  ledger.resize(300);
  std::vector<int32_t> scattered(64);
  for (int32_t i = 0; i < 64; ++i) scattered[static_cast<size_t>(i)] = 3 * i;  // 0 .. 189
  kernel::PageView pages[2];
  pages[0].tokens = 64;
  pages[0].positions = scattered.data();
  pages[0].slots = 0xff;  // 0, 3, ... 21
  pages[1].tokens = 20;
  pages[1].first_position = 250;  // 250 .. 269, two ranges
  ledger.fetched(pages, 4);
  EXPECT_EQ(ledger.keys_fetched()[0], 8u * 4);
  EXPECT_EQ(ledger.keys_fetched()[3], 6u * 4);
  EXPECT_EQ(ledger.keys_fetched()[4], 14u * 4);
  pages[0].slots = ~uint64_t{0};
  ledger.stored(pages, 1);
  EXPECT_EQ(ledger.keys_stored()[0], 22u);
  EXPECT_EQ(ledger.keys_stored()[1], 21u);
  EXPECT_EQ(ledger.keys_stored()[2], 21u);
  ledger.begin_reply();
  EXPECT_EQ(ledger.keys_stored()[0], 0u);
}

}  // namespace
}  // namespace fathom::kv
