#include "kv/prefill/hyper.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "kv/replay/attend_lists.h"
#include "kv/replay/bundle_index.h"
#include "support/made_head.h"
#include "support/prefill_lists.h"

namespace fathom::kv {
namespace {

Bundles bundles_of(const std::string& call, const test::MadeHead& head, size_t first = 0) {
  Bundles out;
  test::make_prefill(call)->bundle(head.chunk(first, head.tokens), out);
  return out;
}

size_t count(const Bundles& bundles) {
  size_t n = 0;
  for (const auto& round : bundles.rounds) n += round.size();
  return n;
}

TEST(Hyper, NeighbouringPlacesDifferInOneSign) {
  for (const uint32_t bits : {1u, 3u, 7u, 12u}) {
    std::vector<uint32_t> signs(size_t{1} << bits, UINT32_MAX);
    for (uint32_t s = 0; s < signs.size(); ++s) {
      ASSERT_LT(gray_place(s), signs.size());
      signs[gray_place(s)] = s;
    }
    for (size_t i = 1; i < signs.size(); ++i) {
      ASSERT_NE(signs[i], UINT32_MAX);
      ASSERT_EQ(std::popcount(signs[i] ^ signs[i - 1]), 1) << i << " of " << bits << " bits";
    }
  }
}

// Where each query of the second half has a key of its direction in the first, both are sorted
// alike, and each finds its own; longer keys change nothing.
TEST(Hyper, EveryQueryFindsTheKeyThatPointsItsWay) {
  test::MadeHead head(1024, 1);
  for (size_t t = 0; t < 512; ++t) {
    for (size_t c = 0; c < head.head_dim; ++c) {
      const float x = head.query(512 + t, 0)[c];
      head.k[t * head.head_dim + c] = x * static_cast<float>(1 + t % 3);
      head.q[((512 + t) * head.group + 1) * head.head_dim + c] = 2 * x;
    }
  }
  const Bundles bundles = bundles_of("hyper(block=16,sample=0,min_len=512,sinks=1,bits=12)", head);
  std::vector<size_t> found(head.group);
  for (const Bundle& bundle : bundles.rounds.at(1)) {
    for (const Bundle::Row& row : bundle.rows) {
      const auto key = static_cast<int32_t>(row.query - 512);
      const bool is = std::binary_search(bundle.keys.begin(), bundle.keys.end(), key);
      found[row.head] += is;
    }
  }
  // The 64 keys that everybody reads are not sorted, so others move by up to 64 places of 512: the
  // blocks of 16 keys and 18 queries go on side by side.
  for (const size_t n : found) EXPECT_GT(n, 256u);
  const Bundles lot = bundles_of("hyper(block=16,sample=0,min_len=512,sinks=1,bits=1)", head);
  size_t by_lot = 0;
  for (const Bundle& bundle : lot.rounds.at(1)) {
    for (const Bundle::Row& row : bundle.rows) {
      by_lot += std::binary_search(bundle.keys.begin(), bundle.keys.end(),
                                   static_cast<int32_t>(row.query - 512));
    }
  }
  EXPECT_LT(by_lot, found[0]);
}

// Blocks of a part are as equal as can be, and every head's queries are in them once.
TEST(Hyper, BlocksAreEqual) {
  const test::MadeHead head(4000, 2);
  const Bundles bundles = bundles_of("hyper(block=100,sample=64,min_len=1024)", head, 1500);
  ASSERT_GT(bundles.rounds.size(), 1u);
  const std::vector<Bundle>& before = bundles.rounds[0];  // keys 64 to 1471
  ASSERT_EQ(before.size(), 15u);
  size_t keys = 0, rows = 0;
  for (const Bundle& b : before) {
    EXPECT_LE(b.keys.size(), 94u);
    EXPECT_GE(b.keys.size(), 93u);
    EXPECT_NEAR(double(b.rows.size()), 2 * 2500.0 / 15, 2);
    EXPECT_GE(b.keys.front(), 64);
    keys += b.keys.size();
    rows += b.rows.size();
  }
  EXPECT_EQ(keys, 1472u - 64);
  EXPECT_EQ(rows, 2500u * 2);
}

// What a query reads stands, on average, for all that it would read: sum e^score within 1%, as
// the card asks. A sum of 1,000 seeds is off by 1 / 350 or so: a sample of 64 of e^N(0, 1) by
// sqrt((e - 1) / 64) = 16% of the sampled part, over sqrt(1,000).
TEST(Hyper, TheSumIsUnbiased) {
  const test::MadeHead head(1024, 3);
  const size_t rows[] = {70, 300, 511, 600, 777, 1023};
  std::vector<double> sums(std::size(rows)), want(std::size(rows));
  std::vector<float> out(head.head_dim), counts;
  std::vector<int32_t> keys;
  for (size_t i = 0; i < std::size(rows); ++i) {
    keys.clear();
    for (size_t t = 0; t <= rows[i]; ++t) keys.push_back(static_cast<int32_t>(t));
    want[i] = std::exp(attend_keys(head.head(1024), head.query(rows[i], 1), keys, out.data()));
  }
  constexpr int kSeeds = 1000;
  for (int seed = 0; seed < kSeeds; ++seed) {
    const auto policy = test::make_prefill(
        "hyper(block=64,sample=64,min_len=128,sinks=1,seed=" + std::to_string(seed) + ")");
    const auto view = head.chunk(0, 1024);
    const auto lists = test::run_select(*policy, view);
    Bundles bundles;
    policy->bundle(view, bundles);
    const BundleIndex index(bundles);
    for (size_t i = 0; i < std::size(rows); ++i) {
      visible_keys(lists[lists.size() / 2 + rows[i] / 64], rows[i], keys);
      counts.clear();
      index.append(1, rows[i], keys, counts);
      sums[i] +=
          std::exp(attend_keys(head.head(1024), head.query(rows[i], 1), keys, out.data(), counts)) /
          kSeeds;
    }
  }
  for (size_t i = 0; i < std::size(rows); ++i) EXPECT_NEAR(sums[i] / want[i], 1, 0.01) << rows[i];
}

// A text of up to min_len tokens is dense; so is one that a block holds.
TEST(Hyper, ShortTextsAreDense) {
  const test::MadeHead head(2000, 4);
  for (const char* call : {"hyper(min_len=2000)", "hyper(block=2000,min_len=64)", "hyper"}) {
    const auto lists = test::run_select(*test::make_prefill(call), head.chunk(0, 2000));
    EXPECT_EQ(lists.back().pieces.size(), 32u) << call;
    EXPECT_EQ(count(bundles_of(call, head)), 0u) << call;
  }
  EXPECT_GT(count(bundles_of("hyper(min_len=999)", head)), 0u);
}

TEST(Hyper, SeedsDecide) {
  const test::MadeHead head(2000, 5);
  const auto sample = [&](const char* call) { return bundles_of(call, head).samples.at(0).keys; };
  EXPECT_EQ(sample("hyper(min_len=500)"), sample("hyper(min_len=500,seed=0)"));
  EXPECT_NE(sample("hyper(min_len=500)"), sample("hyper(min_len=500,seed=1)"));
}

}  // namespace
}  // namespace fathom::kv
