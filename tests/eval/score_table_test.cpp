// Quality beside cost: what stands in a row, how rows are sorted, and what a length has by itself.
#include "eval/score_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "made_report.h"

namespace fathom::eval {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kDense = "prefill=dense keep=all store=f32 fetch=all";
constexpr const char* kKeep = "prefill=dense keep=snapkv(budget=64) store=f32 fetch=all";

// Two turns a session; the later one is answered only by dense attention.
struct Made {
  std::vector<ResultLine> lines;
  std::vector<CostLine> costs;
  std::vector<ProseLine> prose;

  Made() {
    for (const size_t length : {size_t{1024}, size_t{4096}}) {
      for (const char* policy : {kDense, kKeep}) add(policy, length);
    }
    costs = {test::timed(kDense, 1), test::timed(kKeep, 0.25)};
    ProseLine l;
    l.policy = kKeep;
    l.reference = kDense;
    l.length = 1024;
    l.positions = "decode";
    l.result.windows = 4;
    l.result.kl.value = 0.125;
    l.result.same_top.value = 0.5;
    prose.push_back(l);
  }

  void add(const char* policy, size_t length) {
    for (int i = 0; i < 40; ++i) {
      for (size_t turn = 0; turn < 2; ++turn) {
        ResultLine l;
        l.policy = policy;
        l.mode = "multi-turn";
        l.suite = "scbench";
        l.task = "kv_words";
        l.id = fmt::format("{}-{}", length, i);
        l.length = length;
        l.turn = turn;
        l.turns = 2;
        const bool right = policy == std::string(kDense) || (turn == 0 && length == 1024);
        l.result.score = right ? 1 : 0;
        lines.push_back(l);
      }
    }
  }
  Report report() const { return make_report({lines, prose, costs}); }
};

TEST(SplitName, TakesSettingsOutOfTheLine) {
  const PolicyName n = split_name("prefill=x(a=1,b=2) store=q8 fetch=quest(budget=512)");
  EXPECT_EQ(n.method, "prefill=x store=q8 fetch=quest");
  EXPECT_EQ(n.setting, "a=1,b=2; budget=512");
  EXPECT_EQ(split_name("dense").method, "dense");
  EXPECT_EQ(split_name("store=f16[layers=0-1],k4v4(tail=64)").method, "store=f16[layers=0-1],k4v4");
}

TEST(SliceReport, HasOneLengthByItself) {
  const Report report = Made().report();
  const Report one = slice_report(report, 1024, "multi-turn");
  ASSERT_EQ(one.policies.size(), 2u);
  EXPECT_DOUBLE_EQ(one.policies[1].mean.value, 0.5);
  EXPECT_TRUE(one.policies[1].measured);
  EXPECT_EQ(one.prose.size(), 1u);
  ASSERT_EQ(one.frontiers.size(), 3u);
  const Report four = slice_report(report, 4096, "multi-turn");
  EXPECT_EQ(four.policies[1].mean.value, 0);
  EXPECT_FALSE(four.policies[1].measured) << "timed at another length";
  EXPECT_TRUE(slice_report(report, 1024, "single").policies.empty());
  EXPECT_DOUBLE_EQ(report.policies[1].mean.value, 0.25) << "of both";
}

std::string row_of(const std::string& table, const std::string& begin) {
  const size_t at = table.find(begin);
  return at == std::string::npos ? "" : table.substr(at, table.find('\n', at) - at);
}

TEST(ScoreTable, PutsQualityBesideCost) {
  const std::string table = score_table(Made().report(), {{"model", "m"}});
  EXPECT_THAT(table, StartsWith("## m, 1024 tokens, multi-turn\n"));
  EXPECT_THAT(table, HasSubstr("## m, 4096 tokens, multi-turn\n"));
  EXPECT_THAT(table,
              HasSubstr("| # | policy | setting | KV B/token | x f16 | peak reading MiB | moved "
                        "MiB/step | TTFT ms | warm ms | prefill t/s | decode t/s | string | mean | "
                        "of (1) | min | S1 | S2.. | KL decode | top-1 | Pareto KV | Pareto TTFT | "
                        "Pareto step |"));
  EXPECT_LT(table.find("| 1 | `store=f32` | - |"), table.find("| 2 | `keep=snapkv store=f32` |"))
      << "by bytes a token";
  const std::string row = row_of(table, "| 2 | `keep=snapkv store=f32` | `budget=64` |");
  EXPECT_THAT(row, HasSubstr("| 244 | 0.49 | 0.24 | 0.12 | 125.0 | 100.0 | 8192 | 4000 | 50.0 ["));
  EXPECT_THAT(row, HasSubstr("| 50.0 | 50.0 | 100.0 | 0.0 | 0.12 | 50.0 | * | * | * |"));
  EXPECT_THAT(row_of(table, "| 1 | `store=f32` |"), HasSubstr("| 100.0 | 100.0 | 100.0 | 100.0 |"));
}

TEST(ScoreTable, SaysWhoDominates) {
  Made m;
  m.costs[1] = test::timed(kKeep, 2);
  const std::string table = score_table(m.report(), {});
  EXPECT_THAT(row_of(table, "| 2 | `keep=snapkv"), HasSubstr("| . 1 | . 1 | . 1 |"));
  EXPECT_LT(table.find("| 2 | `keep=snapkv"), table.find("| 1 | `store=f32`"));
}

TEST(ScoreTable, IsThereForPrograms) {
  const std::string csv = score_csv(Made().report());
  EXPECT_THAT(csv, StartsWith("length,mode,number,policy,setting,line,kv_bytes_per_token,"));
  EXPECT_THAT(csv, HasSubstr("\n1024,\"multi-turn\",2,\"keep=snapkv store=f32\",\"budget=64\",\"" +
                             std::string(kKeep) + "\",244.140625,0.48828125,250000,125000,"));
  // Every row has as many fields as the head, where no text has a comma.
  std::vector<size_t> commas;
  for (size_t at = 0, end; (end = csv.find('\n', at)) != std::string::npos; at = end + 1) {
    bool quoted = false;
    size_t n = 0;
    for (const char c : csv.substr(at, end - at)) {
      quoted ^= c == '"';
      n += c == ',' && !quoted;
    }
    commas.push_back(n);
  }
  EXPECT_EQ(commas, std::vector<size_t>(5, commas[0]));
  EXPECT_EQ(score_csv(make_report({})), "");
  EXPECT_EQ(score_table(make_report({}), {}), "");
}

TEST(ScoreTable, QuotesNamesThatTryToBreakIt) {
  Made m;
  for (ResultLine& l : m.lines) {
    if (l.policy == kKeep) l.policy = "a\",b|\nc";
  }
  EXPECT_THAT(score_csv(m.report()), HasSubstr("\"a\"\",b|\nc\""));
  EXPECT_THAT(score_table(m.report(), {}), HasSubstr("`a\",b\\| c`"));
}

}  // namespace
}  // namespace fathom::eval
