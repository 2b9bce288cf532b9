#include "kv/prefill/selection.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/made_head.h"

namespace fathom::kv {
namespace {

using Ints = std::vector<int32_t>;

TEST(TopK, LowerIndexWinsTies) {
  TopK ranking;
  const float scores[] = {1, 5, -2, 5, 5, -0.0f, 0.0f};
  EXPECT_EQ(ranking.top(scores, 2), (Ints{1, 3}));
  EXPECT_EQ(ranking.top(scores, 5), (Ints{0, 1, 3, 4, 5}));
  EXPECT_EQ(ranking.top(scores, 99), (Ints{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(ranking.top(scores, 0), Ints{});
  EXPECT_EQ(ranking.ranked(scores), (Ints{1, 3, 4, 0, 5, 6, 2}));
}

TEST(TopK, InfinitiesAndNotNumbersHaveAPlace) {
  TopK ranking;
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(ranking.ranked(std::vector<float>{-inf, 1, inf, -1}), (Ints{2, 1, 3, 0}));
  std::vector<float> nans(1000, std::nanf(""));
  for (size_t i = 0; i < nans.size(); i += 3) nans[i] = float(i);
  EXPECT_EQ(ranking.ranked(nans).size(), nans.size());
  EXPECT_EQ(ranking.top(nans, 500).size(), 500u);
}

TEST(RowDraft, PagesFromRangesAndFromAllTheirKeys) {
  RowDraft draft(300);
  draft.add_range(70, 71);
  Ints tokens = {3, 5, 100};
  for (int32_t t = 128; t < 192; ++t) tokens.push_back(t);
  tokens.push_back(299);
  draft.add_tokens(tokens);
  RowList list;
  draft.write(300, list);
  EXPECT_EQ(list.pieces, (Ints{64, 128}));
  EXPECT_EQ(list.columns, (Ints{3, 5, 299}));
  draft.write(150, list);  // keys 128..149 are not a whole page
  EXPECT_EQ(list.pieces, (Ints{64}));
  EXPECT_EQ(list.columns.size(), 2u + 22u);
}

TEST(ChunkBlocks, BeginAndEndInsideBlocks) {
  const test::MadeHead head(300, 1);
  const PrefillView view = head.chunk(100, 290);
  const ChunkBlocks blocks(view, 64);
  ASSERT_EQ(blocks.count(), 4u);
  EXPECT_EQ(blocks.number(0), 1u);
  EXPECT_EQ(blocks.begin(0), 100u);
  EXPECT_EQ(blocks.end(0), 128u);
  EXPECT_EQ(blocks.begin(3), 256u);
  EXPECT_EQ(blocks.end(3), 290u);
}

TEST(BlockMeans, OfRaggedBlocks) {
  const test::MadeHead head(130, 2);
  const auto keys = key_block_means(head.head(130), 64);
  ASSERT_EQ(keys.size(), 3u * 32);
  EXPECT_NEAR(keys[2 * 32 + 5], (head.k[128 * 32 + 5] + head.k[129 * 32 + 5]) / 2, 1e-6);
  const auto queries = query_block_means(head.chunk(126, 130), 1, 64);
  ASSERT_EQ(queries.size(), 2u * 32);
  EXPECT_NEAR(queries[3], (head.query(126, 1)[3] + head.query(127, 1)[3]) / 2, 1e-6);
}

}  // namespace
}  // namespace fathom::kv
