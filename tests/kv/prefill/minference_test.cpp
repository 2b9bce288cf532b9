#include "kv/prefill/minference.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "kv/prefill/minference_table.h"
#include "kv/prefill/probe.h"
#include "support/method_reference.h"
#include "support/prefill_lists.h"
#include "support/temp_dir.h"

namespace fathom::kv {
namespace {

using Ints = std::vector<int32_t>;

Ints slice(const std::vector<int64_t>& all, size_t begin, size_t count) {
  return {all.begin() + static_cast<ptrdiff_t>(begin),
          all.begin() + static_cast<ptrdiff_t>(begin + count)};
}

TEST(MInference, SumsAreThoseOfTheRepository) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Recording& r = test::recorded_layer();
  const auto columns = test::expected_floats("minference.vertical_sums");
  const auto offsets = test::expected_floats("minference.slash_sums");
  for (size_t head = 0; head < r.heads(); ++head) {
    const auto sums = probe_sums(test::chunk_of(r, head / 2, 0, 2048), head % 2, kMInferenceProbes);
    for (size_t i = 0; i < 2048; ++i) {
      const float c = columns[head * 2048 + i], o = offsets[head * 2048 + i];
      ASSERT_NEAR(sums.columns[i], c, 5e-5 * c + 1e-6) << head << " " << i;
      ASSERT_NEAR(sums.offsets[i], o, 5e-5 * o + 1e-6) << head << " " << i;
    }
  }
}

// The smallest relative gap at a boundary is 1.7e-4, more than the tolerance of the scores, so
// columns, offsets and the lists made of them must be equal.
TEST(MInference, ListsAreThoseOfTheRepository) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Recording& r = test::recorded_layer();
  const std::pair<size_t, size_t> budgets[] = {{100, 200}, {30, 800}};
  for (const auto& [vertical, slash] : budgets) {
    const std::string name =
        "minference.v" + std::to_string(vertical) + "_s" + std::to_string(slash);
    const auto policy = test::make_prefill("minference(vertical=" + std::to_string(vertical) +
                                           ",slash=" + std::to_string(slash) + ")");
    const auto columns = test::expected_integers(name + ".columns");
    const auto offsets = test::expected_integers(name + ".offsets");
    const auto blocks = test::expected_integers(name + ".block_count");
    const auto block = test::expected_integers(name + ".block_offset");
    const auto singles = test::expected_integers(name + ".column_count");
    const auto single = test::expected_integers(name + ".column_index");
    const size_t most_blocks = test::expected_shape(name + ".block_offset")[2];
    const size_t most_singles = test::expected_shape(name + ".column_index")[2];
    for (size_t head = 0; head < r.heads(); ++head) {
      const PrefillView view = test::chunk_of(r, head / 2, 0, 2048);
      const VerticalSlash chosen = vertical_slash(view, head % 2, vertical, slash);
      EXPECT_EQ(chosen.columns, slice(columns, head * vertical, vertical)) << name << " " << head;
      EXPECT_EQ(chosen.offsets, slice(offsets, head * slash, slash)) << name << " " << head;
      const auto lists = test::run_select(*policy, view);
      for (size_t b = 0; b < 32; ++b) {
        const RowList& list = lists[head % 2 * 32 + b];
        const size_t row = head * 32 + b;
        EXPECT_EQ(list.pieces, slice(block, row * most_blocks, size_t(blocks[row]))) << row;
        EXPECT_EQ(list.columns, slice(single, row * most_singles, size_t(singles[row]))) << row;
      }
    }
  }
}

TEST(MInference, OutputsAreThoseOfTheRepository) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto policy = test::make_prefill("minference(vertical=100,slash=200)");
  EXPECT_LE(test::worst_row_difference(test::recorded_layer(), *policy, "minference.v100_s200"),
            1e-5);
}

TEST(MInference, BlockSparseIsThatOfTheRepositoryAndTheForcedBlocks) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Recording& r = test::recorded_layer();
  const auto want = test::expected_floats("minference.block_sparse.pooled");
  const auto top = test::expected_integers("minference.block_sparse.top8");
  const auto policy = test::make_prefill("minference(pattern=block_sparse,blocks=8)");
  for (size_t head = 0; head < r.heads(); ++head) {
    const PrefillView view = test::chunk_of(r, head / 2, 0, 2048);
    const auto products = pooled_products(view, head % 2);
    for (size_t i = 0; i < 32 * 32; ++i) {
      const float w = want[head * 1024 + i];
      // Where terms cancel: sums of 2 * 64 + 32 numbers, rounded at 6e-8 of products of about 1.
      ASSERT_NEAR(products[i], w, 1e-4 * std::fabs(w) + 1e-5) << head << " " << i;
    }
    const auto lists = test::run_select(*policy, view);
    for (size_t b = 0; b < 32; ++b) {
      std::set<size_t> blocks = {0, b};
      for (size_t i = 0; i < 8; ++i) {
        const int64_t k = top[(head * 32 + b) * 8 + i];
        if (k >= 0) blocks.insert(size_t(k));
      }
      EXPECT_EQ(test::blocks_of(lists[head % 2 * 32 + b], 64), blocks) << head << " " << b;
    }
  }
}

// By hand: the 64 queries before index 640.
TEST(MInference, SpansAreFusedWhereTheyTouch) {
  RowList list;
  list_vertical_slash({{0, 70, 300, 500}, {0, 50, 100, 400}}, 640, 640, list);
  // Offset 400 spans [176, 240) and 100 spans [476, 540), which 50 and 0 extend by 64 each.
  EXPECT_EQ(list.pieces, (Ints{176, 476, 540, 604}));
  EXPECT_EQ(list.columns, (Ints{0, 70, 300}));
  list_vertical_slash({{0, 560}, {0, 100}}, 640, 640, list);  // [476, 540) and [576, 640)
  EXPECT_EQ(list.pieces, (Ints{476, 576}));
  EXPECT_EQ(list.columns, (Ints{0, 560}));
  list_vertical_slash({{0, 70}, {0, 100}}, 64, 10, list);  // a block of 10 queries: one span
  EXPECT_EQ(list.pieces, (Ints{0}));
  EXPECT_EQ(list.columns, Ints{});
}

TEST(MInferenceTable, GivesEachHeadItsPattern) {
  const test::TempDir dir;
  test::write_file(dir.file("t.json"), R"([{"0": ["stream_llm", 64, 128, 0.9],
      "1": ["vertical_and_slash", 30, 60, 1], "2": ["block_sparse", 100, 0, 1.0]}])");
  const MInferenceTable table = read_minference_table(dir.file("t.json"));
  ASSERT_EQ(table.size(), 1u);
  EXPECT_EQ(table[0].at(0).pattern, MInferencePattern::kStreaming);
  EXPECT_EQ(table[0].at(1).second, 60u);
  EXPECT_EQ(table[0].at(2).pattern, MInferencePattern::kBlockSparse);
  EXPECT_NO_THROW(test::make_prefill("minference(table=" + dir.file("t.json") + ")"));
}

TEST(MInferenceTable, RefusesWhatIsNone) {
  for (const char* bad : {"", "{}", "[]", "[1]", R"([{"x": ["stream_llm", 1, 2, 3]}])",
                          R"([{"0": ["stream_llm", 1]}])", R"([{"0": ["spiral", 1, 2, 3]}])",
                          R"([{"0": ["stream_llm", -1, 2, 3]}])", R"([{"0": null}])",
                          R"([{"0": ["stream_llm", 1e9, 2, 3]}])"}) {
    EXPECT_THROW(parse_minference_table(bad, "test"), Error) << bad;
  }
}

}  // namespace
}  // namespace fathom::kv
