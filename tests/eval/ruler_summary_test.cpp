// RULER's mean and effective length, on made-up scores.
#include "eval/ruler_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "eval/html/sections.h"
#include "eval/task/task.h"

namespace fathom::eval {
namespace {

using testing::HasSubstr;

// Ten sessions of each of the first `tasks` tasks, `right` of them right.
void add(std::vector<ResultLine>& lines, const std::string& policy, size_t length, size_t tasks,
         size_t right) {
  for (const TaskInfo& t : all_tasks()) {
    if (t.suite != "ruler" || tasks == 0) continue;
    --tasks;
    for (size_t i = 0; i < 10; ++i) {
      ResultLine& l = lines.emplace_back();
      l.policy = policy;
      l.mode = "multi-request";
      l.suite = t.suite;
      l.task = t.name;
      l.length = length;
      l.id = fmt::format("{}-{}-{}", t.name, length, i);
      l.result.score = i < right;
    }
  }
}

std::vector<RulerSummary> summary(const std::vector<ResultLine>& lines) {
  return ruler_summary(make_report({lines}));
}

TEST(RulerSummary, IsTheMeanOfThirteenTasks) {
  EXPECT_EQ(ruler_tasks(), 13u);
  std::vector<ResultLine> lines;
  add(lines, "dense", 1024, 12, 10);
  lines.push_back(lines[0]);
  lines.back().suite = "needle";  // none of its own
  lines.back().id = "other";
  std::vector<ResultLine> last;
  add(last, "dense", 1024, 13, 0);
  lines.insert(lines.end(), last.end() - 10, last.end());
  const auto s = summary(lines);
  ASSERT_EQ(s.size(), 1u);
  ASSERT_EQ(s[0].lengths.size(), 1u);
  EXPECT_EQ(s[0].lengths[0].tasks, 13u);
  EXPECT_DOUBLE_EQ(s[0].lengths[0].mean.value, 12.0 / 13);
  EXPECT_EQ(s[0].effective, 1024u);
}

TEST(RulerSummary, TheEffectiveLengthIsTheLargestThatReachesTheThreshold) {
  std::vector<ResultLine> lines;
  add(lines, "dense", 4096, 13, 10);
  add(lines, "dense", 16384, 13, 9);
  add(lines, "dense", 32768, 13, 8);
  EXPECT_EQ(summary(lines)[0].effective, 16384u);
  std::vector<ResultLine> bad;
  add(bad, "dense", 4096, 13, 8);
  EXPECT_EQ(summary(bad)[0].effective, 0u);
  EXPECT_EQ(effective_text(summary(bad)[0]), "none of these");
}

TEST(RulerSummary, DoesNotGuessWhatWasNotAsked) {
  std::vector<ResultLine> lines;
  add(lines, "dense", 1024, 13, 9);
  add(lines, "lossy", 1024, 4, 9);
  auto s = summary(lines);
  ASSERT_EQ(s.size(), 2u);
  EXPECT_EQ(s[1].lengths[0].tasks, 4u);
  EXPECT_DOUBLE_EQ(s[1].lengths[0].mean.value, 0.9);
  EXPECT_DOUBLE_EQ(*s[1].lengths[0].first, 0.9);
  EXPECT_FALSE(s[1].effective);
  EXPECT_EQ(effective_text(s[1]), "not known");
  // Twelve tasks of no right answer decide it whatever the last would give.
  lines.clear();
  add(lines, "dense", 1024, 13, 9);
  add(lines, "lossy", 1024, 12, 0);
  EXPECT_EQ(summary(lines)[1].effective, 0u);
  // And twelve of only right ones as well: 12 / 13 is 92.3 %.
  lines.clear();
  add(lines, "dense", 1024, 13, 9);
  add(lines, "lossy", 1024, 12, 10);
  EXPECT_EQ(summary(lines)[1].effective, 1024u);
}

TEST(RulerSummary, StandsInEveryFormOfTheReport) {
  std::vector<ResultLine> lines;
  add(lines, "dense", 1024, 13, 9);
  add(lines, "lossy", 1024, 4, 9);
  const Report report = make_report({lines});
  EXPECT_THAT(report_text(report), HasSubstr("effective length"));
  EXPECT_THAT(report_text(report), HasSubstr(" of 4 ((1) 90.0)"));
  const auto json = report_json(report)["ruler"];
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0]["effective_length"], 1024);
  EXPECT_EQ(json[1]["lengths"][0]["tasks_answered"], 4);
  EXPECT_TRUE(json[1]["effective_length"].is_null());
  EXPECT_THAT(html::ruler_table(report), HasSubstr("of 4 tasks, (1) 90.0"));
  // Nothing where none of them was asked.
  for (ResultLine& l : lines) l.suite = "scbench";
  const Report other = make_report({lines});
  EXPECT_EQ(ruler_text(other), "");
  EXPECT_EQ(html::ruler_table(other), "");
  EXPECT_FALSE(report_json(other).contains("ruler"));
}

}  // namespace
}  // namespace fathom::eval
