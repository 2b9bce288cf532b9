// The Markdown table: what stands in a policy's row, and which columns there are.
#include "eval/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/controls.h"

namespace fathom::eval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kDense = "prefill=dense keep=all store=f32 fetch=all";
constexpr const char* kFetch =
    "prefill=dense keep=all store=f32 "
    "fetch=quest(budget=256,page=16,sinks=1,recent=1,heads=group)";

// A question at this depth, answered right or wrong.
ResultLine answered(const char* policy, int i, double depth, double score) {
  ResultLine l;
  l.policy = policy;
  l.mode = "multi-request";
  l.suite = "needle";
  l.task = "facts";
  l.id = std::to_string(i);
  l.length = 1024;
  l.depth = depth;
  l.result.score = score;
  return l;
}

ProseLine predicted(const char* text, size_t windows, double kl) {
  ProseLine l;
  l.policy = kFetch;
  l.reference = kDense;
  l.positions = "decode";
  l.text = text;
  l.length = 1024;
  l.result.windows = windows;
  l.result.kl.value = kl;
  l.result.same_top.value = 0.875;
  return l;
}

CostLine timed(const char* policy, size_t bytes, double keys_read) {
  CostLine c;
  c.policy = policy;
  c.length = 1000;  // room was left for what is decoded
  c.kv_bytes = bytes;
  c.keys_read = keys_read;
  c.first_token_seconds = keys_read < 1 ? 1.5 : 1;
  c.step_seconds = keys_read < 1 ? 0.005 : 0.01;
  if (keys_read < 1) c.batches = {{4, 0.01}, {16, 0.02}};
  return c;
}

// The row of a policy; "" where there is none.
std::string row_of(const std::string& table, const std::string& policy) {
  const size_t at = table.find("| `" + policy + "` |");
  return at == std::string::npos ? "" : table.substr(at, table.find('\n', at) - at);
}

TEST(Table, HasARowAPolicyUnderItsStage) {
  std::vector<ResultLine> lines;
  for (int i = 0; i < 40; ++i) {
    const double depth = 0.025 * i;
    lines.push_back(answered(kDense, i, depth, 1));
    lines.push_back(answered(kFetch, i, depth, depth < 0.5 ? 0 : 1));
  }
  // Windows of both texts count alike: (3 * 0.1 + 1 * 0.5) / 4.
  const ProseLine prose[] = {predicted("one", 3, 0.1), predicted("two", 1, 0.5)};
  ProseLine free = predicted("one", 1, 0.1);
  free.result.greedy = GreedyAgreement{128, {100.5, {90, 110}}, {0.25, {0.1, 0.4}}};
  EXPECT_THAT(report_table(make_report({{}, {&free, 1}, {}}), {}),
              HasSubstr("| 0.1 | 87.5% | 100 | 25% |"));
  const CostLine costs[] = {timed(kDense, 1000, 1), timed(kFetch, 1250, 0.05)};
  const std::string table =
      report_table(make_report({lines, prose, costs}), {{"command", "fathom eval"}});
  EXPECT_THAT(table, HasSubstr("    fathom eval\n"));
  EXPECT_THAT(table, HasSubstr("1024 tokens"));
  EXPECT_THAT(table, HasSubstr("needle/facts (40 questions)"));
  EXPECT_LT(table.find("### dense attention"), table.find("### reads fewer keys"));
  EXPECT_THAT(table, HasSubstr("| policy | prompt | keys | cache | t/s | x4 | x16 | even | KL "
                               "decoding | top | right | "
                               "0-20 | 20-40 | 40-60 | 60-80 | 80-100 |"));
  EXPECT_EQ(row_of(table, "store=f32"),
            "| `store=f32` | 100% | 100% | 100% | 100 | - | - | - | - | - | 100 [91, 100] | 100 | "
            "100 | 100 | 100 | "
            "100 |");
  EXPECT_THAT(row_of(table, "store=f32 fetch=quest(budget=256)"),
              HasSubstr("| 100% | 5.0% | 125% | 200 | 400 | 800 | 2 | 0.2 | 87.5% | 50 ["));
  EXPECT_THAT(row_of(table, "store=f32 fetch=quest(budget=256)"),
              HasSubstr("| 0 | 0 | 50 | 100 | 100 |"));
}

TEST(Table, SaysThatATaskIsBeyondTheModel) {
  std::vector<ResultLine> lines;
  for (int i = 0; i < 20; ++i) lines.push_back(answered(kDense, i, 0.5, 0));
  const std::string table = report_table(make_report({lines}), {});
  EXPECT_EQ(row_of(table, "store=f32"), "| `store=f32` | n/a |");
  EXPECT_THAT(table, Not(HasSubstr("KL")));
}

TEST(Table, SaysWhatASmallModelCannotShow) {
  const std::string table = report_table(make_report({}), {{"traits",
                                                            {{"parameters", 1000},
                                                             {"head_dim", 16},
                                                             {"tokens", 9},
                                                             {"even_weight", 0.5},
                                                             {"first_token_weight", {0.25}},
                                                             {"key_channel_ratio", {1.5}}}}});
  EXPECT_THAT(table, HasSubstr("- Attention on the first token, by layer, in percent: 25.0."));
}

TEST(Table, IsThereForPredictionsAlone) {
  const ProseLine prose[] = {predicted("one", 3, 0.1)};
  const std::string table = report_table(make_report({{}, prose, {}}), {});
  EXPECT_EQ(row_of(table, "store=f32"), "| `store=f32` | - | - |");
  EXPECT_EQ(row_of(table, "store=f32 fetch=quest(budget=256)"),
            "| `store=f32 fetch=quest(budget=256)` | 0.1 | 87.5% |");
  EXPECT_EQ(report_table(make_report({}), {}), "");
}

TEST(Table, ShowsWhatSingleTokensDo) {
  ProseLine prose[] = {predicted("one", 3, 0.1)};
  Divergence& d = prose[0].result;
  d.tokens = 300;
  d.close = 20;
  d.same_top_close = 0.75;
  d.kl_median = 0.01;
  d.kl_p90 = 0.02;
  d.kl_p99 = 0.5;
  d.kl_p999 = 1.5;
  d.kl_max = 2;
  d.delta_ps = {-0.5, -0.25, -0.1, -0.01, 0, 0.01, 0.1, 0.2, 0.3};
  d.logit_error.value = 0.125;
  d.attention = AttentionLoss{0.125, 0.5, -0.25, 0.75};
  const std::string table = report_table(make_report({{}, prose, {}}), {});
  EXPECT_THAT(table, HasSubstr("| KL 50% | 90% | 99% | 99.9% | most | wavering |"));
  EXPECT_THAT(table,
              HasSubstr("| decode | one | 0.01 | 0.02 | 0.5 | 1.5 | 2 | 75.0% | +0.00 | 0.00 | "
                        "-50.00 | -25.00 | -10.00 | -1.00 | +0.00 | +1.00 | +10.00 | +20.00 | "
                        "+30.00 | 12.50% |"));
  EXPECT_THAT(table, HasSubstr("| decode | one | 75.0% | 12.50% | 50.00% | -0.2500 |"));
}

TEST(ShortLines, ShowWhatTellsThemApart) {
  const std::vector<std::string> lines = {
      "keep=all fetch=quest(budget=2048,page=16,sinks=1,recent=1,heads=group)",
      "keep=all fetch=quest(budget=2048,page=64,sinks=1,recent=1,heads=group)",
      "keep=tova(budget=2048,sinks=0,recent=1)"};
  EXPECT_THAT(short_lines(lines),
              ElementsAre("fetch=quest(budget=2048,page=16)", "fetch=quest(budget=2048,page=64)",
                          "keep=tova(budget=2048)"));
  EXPECT_EQ(short_line(lines[0]), "fetch=quest(budget=2048)");
}

}  // namespace
}  // namespace fathom::eval
