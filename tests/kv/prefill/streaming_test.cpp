// A-shape, tri-shape and LServe: masks that do not look at the keys.
#include <gtest/gtest.h>

#include "base/error.h"
#include "kv/head_table.h"
#include "kv/replay/attend_lists.h"
#include "support/method_reference.h"
#include "support/prefill_lists.h"
#include "support/temp_dir.h"

namespace fathom::kv {
namespace {

// Views without keys: these policies must not look at them.
PrefillView blind_view(size_t first, size_t end) {
  PrefillView view;
  view.head.tokens = end;
  view.head.layer = 1;
  view.queries.tokens = end - first;
  view.queries.first = first;
  return view;
}

// The rule as it is defined, query by query.
TEST(Streaming, EveryQuerySeesExactlyItsKeys) {
  struct Case {
    size_t first, end, sinks, window;
  };
  for (const Case& c : {Case{0, 500, 4, 100},
                        {130, 700, 64, 64},
                        {0, 1000, 100, 1},
                        {77, 1003, 1, 333},
                        {0, 64, 200, 10},
                        {640, 641, 65, 70}}) {
    const auto policy = test::make_prefill("a_shape(sinks=" + std::to_string(c.sinks) +
                                           ",window=" + std::to_string(c.window) + ")");
    const auto lists = test::run_select(*policy, blind_view(c.first, c.end));
    std::vector<int32_t> keys, want;
    for (size_t i = c.first; i < c.end; ++i) {
      want.clear();
      for (size_t j = 0; j <= i; ++j) {
        if (j < c.sinks || i - j < c.window) want.push_back(static_cast<int32_t>(j));
      }
      visible_keys(lists[i / 64 - c.first / 64], i, keys);
      ASSERT_EQ(keys, want) << i << " of " << c.first << ".." << c.end;
    }
  }
}

TEST(Streaming, TriShapeLetsTheLastQueriesOfThePromptSeeAll) {
  const auto policy = test::make_prefill("tri_shape(sinks=64,window=64,last=100)");
  PrefillView view = blind_view(0, 1000);
  auto lists = test::run_select(*policy, view);
  std::vector<int32_t> keys;
  for (size_t i = 900; i < 1000; ++i) {
    visible_keys(lists[i / 64], i, keys);
    EXPECT_EQ(keys.size(), i + 1);
  }
  EXPECT_EQ(lists[13].pieces, (std::vector<int32_t>{0, 768, 832}));  // up to query 895
  view.prompt = 2000;  // the prompt goes on: nobody here is among its last queries
  lists = test::run_select(*policy, view);
  EXPECT_EQ(lists[15].pieces, (std::vector<int32_t>{0, 896, 960}));
  const auto shallow = test::make_prefill("tri_shape(sinks=64,window=64,dense_layers=2)");
  EXPECT_EQ(test::run_select(*shallow, view)[15].pieces.size(), 16u);
}

TEST(Streaming, OutputsAreThoseOfDuoAttention) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  for (const char* call : {"a_shape(sinks=64,window=256)", "lserve(sinks=64,window=256)"}) {
    const auto policy = test::make_prefill(call);
    EXPECT_LE(test::worst_row_difference(test::recorded_layer(), *policy, "duo.streaming"), 1e-5);
  }
}

TEST(HeadTable, FullHeadsAreThoseOfDuoAttention) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const HeadTable gates{8, test::expected_floats("duo.gates")};
  for (const std::string share : {"0.25", "0.5", "0.75"}) {
    const auto want = test::expected_integers("duo.full_heads.s" + share);
    const auto full = full_heads(gates, std::stod(share));
    ASSERT_EQ(full.size(), want.size());
    for (size_t i = 0; i < full.size(); ++i) EXPECT_EQ(full[i], want[i]) << share << " " << i;
  }
}

TEST(HeadTable, ReadsTextAndRefusesTheRest) {
  const HeadTable table = parse_head_table("# gates\n0.5\t1 2\n\n0,-1,0.25\r\n", "test");
  EXPECT_EQ(table.layers(), 2u);
  EXPECT_EQ(table.values, (std::vector<float>{0.5f, 1, 1, 0, 0, 0.25f}));
  for (const char* bad : {"", "\n\n", "#1", "1 2\n3", "1 x", "nan 1", "inf", "1e", "1;2"}) {
    EXPECT_THROW(parse_head_table(bad, "test"), Error) << bad;
  }
}

TEST(LServe, TablesOfZeroAndOneAreTakenAsTheyStand) {
  const test::TempDir dir;
  test::write_file(dir.file("heads"), "1 1 1\n1 0 1\n");
  const auto policy =
      test::make_prefill("lserve(share=0.9,sinks=64,window=64,table=" + dir.file("heads") + ")");
  PrefillView view = blind_view(0, 640);
  EXPECT_EQ(test::run_select(*policy, view)[9].pieces.size(), 10u);
  view.head.kv_head = 1;
  EXPECT_EQ(test::run_select(*policy, view)[9].pieces.size(), 3u);
  view.head.kv_head = 3;
  EXPECT_THROW(test::run_select(*policy, view), Error);
}

}  // namespace
}  // namespace fathom::kv
