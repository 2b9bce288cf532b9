// Answers that name more than was asked for: what is counted, and where it is said.
#include "eval/named_items.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "eval/html/sections.h"
#include "eval/report.h"
#include "eval/task_score.h"

namespace fathom::eval {
namespace {

using testing::HasSubstr;

Instance asked(const std::string& suite, const std::string& task,
               const std::vector<std::string>& golds) {
  Instance i;
  i.suite = suite;
  i.task = task;
  i.turns.resize(1);
  i.turns[0].answers = golds;
  return i;
}

constexpr const char* kUuid = "0f3a9c1e-7b2d-4c55-8a1f-99d0e4b7c6a2";
constexpr const char* kOther = "1f3a9c1e-7b2d-4c55-8a1f-99d0e4b7c6a2";

TEST(NamedItems, AreDifferentValuesOfTheGoldsKind) {
  const Instance number = asked("ruler", "niah_single_1", {"1234567"});
  // Twice the gold, another, and numbers of other lengths.
  const auto n = *named_items(number, 0, "1234567 or 7654321, 1234567; not 123 or 12345678.");
  EXPECT_EQ(n.items, 2u);
  EXPECT_EQ(n.right, 1u);
  EXPECT_EQ(n.wanted, 1u);
  EXPECT_EQ(named_items(number, 0, "")->items, 0u);
  EXPECT_EQ(named_items(number, 0, "none that I know")->items, 0u);

  const Instance uuid = asked("scbench", "kv", {kUuid});
  const std::string pair = fmt::format("\"{}\": \"{}\",", kOther, kUuid);
  EXPECT_EQ(named_items(uuid, 0, pair)->items, 2u);
  EXPECT_EQ(named_items(uuid, 0, pair)->right, 1u);
  const Instance upper = asked("ruler", "niah_single_3", {kUuid});
  EXPECT_EQ(named_items(upper, 0, "0F3A9C1E-7B2D-4C55-8A1F-99D0E4B7C6A2")->right, 1u);
}

TEST(NamedItems, OfStringsAreTheLongRuns) {
  const std::string gold = "abcde0123456789fghijk", other = "abcdezzzzzzzzzzzzzzzz9";
  const Instance i = asked("scbench", "prefix_suffix", {gold});
  const auto n = *named_items(i, 0, "The string is \"" + gold + "\", not \"" + other + "\".");
  EXPECT_EQ(n.items, 2u);
  EXPECT_EQ(n.right, 1u);
}

TEST(NamedItems, AreTooManyBeyondTwoOthers) {
  const Instance one = asked("ruler", "niah_multikey_1", {"1000000"});
  EXPECT_FALSE(named_items(one, 0, "1000000 1000001 1000002")->too_many());
  EXPECT_TRUE(named_items(one, 0, "1000000 1000001 1000002 1000003")->too_many());
  const std::vector<std::string> golds = {"1000000", "1000001", "1000002", "1000003"};
  const Instance four = asked("ruler", "niah_multivalue", golds);
  const std::string all = "1000000, 1000001, 1000002 and 1000003";
  EXPECT_EQ(named_items(four, 0, all)->right, 4u);
  EXPECT_FALSE(named_items(four, 0, all)->too_many());
  EXPECT_FALSE(named_items(four, 0, all + " 2000000 2000001")->too_many());
  EXPECT_TRUE(named_items(four, 0, all + " 2000000 2000001 2000002")->too_many());
}

TEST(NamedItems, AreLookedForWhereValuesAreAsked) {
  EXPECT_TRUE(named_items(asked("scbench", "kv_words", {"4821"}), 0, ""));
  EXPECT_FALSE(named_items(asked("scbench", "vt", {"ABCDE"}), 0, ""));
  EXPECT_FALSE(named_items(asked("ruler", "cwe", {"word"}), 0, ""));
  EXPECT_FALSE(named_items(asked("needle", "needle", {"12345"}), 0, ""));
  Instance mixed = asked("scbench", "repoqa_and_kv", {kUuid});
  EXPECT_FALSE(named_items(mixed, 0, ""));
  mixed.turns[0].task = "kv";
  EXPECT_TRUE(named_items(mixed, 0, ""));
}

std::vector<ResultLine> lines_of(const std::string& policy, size_t items) {
  std::vector<ResultLine> out;
  for (size_t i = 0; i < 40; ++i) {
    ResultLine& l = out.emplace_back();
    l.policy = policy;
    l.mode = "single";
    l.suite = "ruler";
    l.task = "niah_single_1";
    l.id = std::to_string(i);
    l.length = 1024;
    l.result.score = 1;
    l.result.named = NamedItems{i % 2 == 0 ? items : 0, i % 2 == 0 ? size_t{1} : 0, 1};
  }
  return out;
}

TEST(OverGeneration, StandsInEveryFormOfTheReport) {
  auto lines = lines_of("dense", 1);
  const auto dumping = lines_of("dumping", 4);
  lines.insert(lines.end(), dumping.begin(), dumping.end());
  // As a file gives them back.
  for (ResultLine& l : lines) l = parse_results(result_line(l), "x").at(0);
  const Report report = make_report({lines});
  const NamedSummary s = named_summary(report.policies[1]);
  EXPECT_EQ(s.answers, 40u);
  EXPECT_EQ(s.naming, 20u);
  EXPECT_EQ(s.too_many, 20u);
  EXPECT_DOUBLE_EQ(s.mean_precision(), 0.25);
  EXPECT_THAT(report_text(report),
              HasSubstr("(2) 25.0 % of the values named were asked for; 20 of 40 answers name more "
                        "than two others"));
  const auto json = report_json(report)["policies"][1];
  EXPECT_EQ(json["over_generation"]["precision"], 0.25);
  EXPECT_EQ(json["tasks"][0]["over_generation"]["naming_too_many"], 20);
  EXPECT_THAT(html::over_generation_table(report), HasSubstr(">20</td></tr>"));
  for (ResultLine& l : lines) l.result.named.reset();
  EXPECT_EQ(html::over_generation_table(make_report({lines})), "");
  EXPECT_EQ(named_text(make_report({lines})), "");
}

TEST(OverGeneration, RefusesWhatCannotBe) {
  std::string line = result_line(lines_of("a", 1)[0]);
  const std::string from = "\"named_right\":1";
  line.replace(line.find(from), from.size(), "\"named_right\":2");
  EXPECT_THROW(parse_results(line, "x"), Error);
}

TEST(NeedleRouge, ComparesWithTheSentenceAndWithTheValue) {
  Instance i = asked("needle", "needle", {"12345"});
  const std::string needle = "The clock of Dale was made from 12345 parts.";
  i.context = "It rained. " + needle + " It stopped.";
  i.turns[0].gold = {{11, 11 + needle.size()}};
  EXPECT_DOUBLE_EQ(*needle_rouge(i, 0, "12345"), 1);
  EXPECT_DOUBLE_EQ(*needle_rouge(i, 0, "The clock of Dale was\nmade from 12345 parts"), 1);
  // One of three words against the value: P 1/3, R 1; four of nine against the sentence: P 1, R
  // 4/9.
  EXPECT_DOUBLE_EQ(*needle_rouge(i, 0, "12345 or so"), 0.5);
  EXPECT_NEAR(*needle_rouge(i, 0, "made from 12345 parts"), 8.0 / 13, 1e-12);
  EXPECT_EQ(*needle_rouge(i, 0, "no idea"), 0);
  i.suite = "ruler";
  EXPECT_FALSE(needle_rouge(i, 0, "12345"));
}

}  // namespace
}  // namespace fathom::eval
