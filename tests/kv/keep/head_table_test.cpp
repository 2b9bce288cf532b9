#include "kv/keep/head_table.h"

#include "base/error.h"
#include "kv/keep/reference.h"

namespace fathom::kv::test {
namespace {

TEST(HeadTable, FullHeadsAreDuoAttentions) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const HeadTable table(32, 8, expected_floats("duo.gates"));
  for (const char* sparsity : {"0.25", "0.5", "0.75"}) {
    const auto want = expected_integers(std::string("duo.full_heads.s") + sparsity);
    const auto full = table.full_heads(std::stod(sparsity));
    ASSERT_EQ(std::vector<int64_t>(full.begin(), full.end()), want) << sparsity;
  }
}

TEST(HeadTable, TextIsReadAndClipped) {
  const HeadTable table("0.5\t1.5\r\n-1 1e-1\n", "here");
  EXPECT_EQ(table.layers(), 2u);
  EXPECT_EQ(table.kv_heads(), 2u);
  EXPECT_EQ(table.full_heads(0.5), (std::vector<uint8_t>{1, 1, 0, 0}));
  EXPECT_EQ(table.full_heads(0.0), (std::vector<uint8_t>{1, 1, 1, 1}));
}

TEST(HeadTable, AnythingElseIsRefused) {
  for (const char* bad : {"", "\n\n", "1 2\n3\n", "1 x\n", "nan\n", "inf\n", "1,2\n", "1e999\n"}) {
    EXPECT_THROW(HeadTable(bad, "here"), Error) << bad;
  }
  EXPECT_THROW(HeadTable::read(""), Error);
}

// Heads 2 and 3 stream with 64 sinks and 256 recent tokens while decoding. The reference read the
// prompt's last 128 tokens with streaming heads too, which changes nothing of one layer's inputs.
TEST(Duo, DecodesAsTheAuthors) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const HeadTable table(3, 4, {1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0});
  const auto keep =
      make_budgeted(nullptr, table_budget(table, 0.5, {64, 256, 0}), {64, 256}, Eviction::kAlways);
  KeptLayer layer(recorded_layer(), 3);
  std::vector<std::vector<int32_t>> kept(4);
  keep->select(layer.append(2048, {}), kept);
  layer.apply(*keep, kept);
  EXPECT_EQ(kept[0].size(), 2048u);
  EXPECT_EQ(kept[3].size(), 320u);
  std::vector<float> outputs;
  for (size_t step = 0; step < 8; ++step) {
    const KeepView& view = layer.append(1, {.window = 1});
    for (size_t h = 0; h < 8; ++h) {
      const auto row = attend(view.heads[h / 2], view.queries[h / 2].row(0, h % 2, 32));
      outputs.insert(outputs.end(), row.begin(), row.end());
    }
    keep->select(view, kept);
    layer.apply(*keep, kept);
  }
  expect_close(outputs, expected_floats("duo.decode_out"), {0, 1e-5}, "decode_out");
}

TEST(Duo, ATableForAnotherModelIsRefused) {
  const auto budget = table_budget(HeadTable(1, 2, {0, 1}), 0.5, {1, 1, 0});
  HeadView heads[3];
  EXPECT_THROW(budget->head_limit({.layers = 1, .prompt = 0, .heads = heads}, 0), Error);
}

}  // namespace
}  // namespace fathom::kv::test
