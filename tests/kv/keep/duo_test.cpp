#include "kv/keep/duo.h"

#include "base/error.h"
#include "kv/keep/reference.h"
#include "kv/keep/table_budget.h"

namespace fathom::kv::test {
namespace {

// Heads 2 and 3 stream with 64 sinks and 256 recent tokens while decoding. The reference read the
// prompt's last 128 tokens with streaming heads too, which changes nothing of one layer's inputs.
TEST(Duo, DecodesAsTheAuthors) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const HeadTable table{4, {1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0}};
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

TEST(Duo, TheTableIsNotOptional) {
  EXPECT_THROW(make_duo(Parameters(duo_info(), {}, "test")), Error);
}

TEST(Duo, ATableForAnotherModelIsRefused) {
  const auto budget = table_budget(HeadTable{2, {0, 1}}, 0.5, {1, 1, 0});
  HeadView heads[3];
  EXPECT_THROW(budget->head_limit({.layers = 1, .prompt = 0, .heads = heads}, 0), Error);
}

}  // namespace
}  // namespace fathom::kv::test
