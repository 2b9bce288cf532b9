#include "eval/predictions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "eval/instance_file.h"

namespace fathom::eval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(const std::string& text) {
  try {
    parse_predictions(text, "p.jsonl");
  } catch (const Error& e) {
    return std::string(e.what()) + " | " + e.hint();
  }
  return "no error";
}

TEST(Predictions, AreScoredByTask) {
  const auto answered =
      parse_predictions(R"({"id":"a","prediction":"The value is 12","answer":"12"})"
                        "\n"
                        R"({"id":"b","prediction":["12","none"],"answer":["12",["7","8"]]})",
                        "x");
  const auto scored = score_predictions(answered, "scbench", "kv");
  EXPECT_THAT(scored[0].scores, ElementsAre(1));
  EXPECT_THAT(scored[1].scores, ElementsAre(1, 0));
  EXPECT_THROW(score_predictions(answered, "scbench", "nothing"), Error);
}

TEST(Predictions, TurnsMayNameTheirOwnTask) {
  const auto scored = score_predictions(
      parse_predictions(R"({"id":0,"prediction":["a b","key 5 or 6"],"answer":["a b","6"],)"
                        R"("tasks":["scbench_summary","scbench_passkey"]})",
                        "x"),
      "scbench", "summary_with_needles");
  EXPECT_THAT(scored[0].scores, ElementsAre(1, 0));
  const ScoreSummary s = summarize(scored);
  ASSERT_EQ(s.by_task.size(), 2u);
  EXPECT_EQ(s.by_task[0].first, "scbench_passkey");
}

TEST(Predictions, OfARepositoryAreRivalsOfEachOther) {
  const std::string f = "int f ( int a ) { return a + 1 ; }";
  const std::string g = "int g ( int a ) { return a + 1 ; }";
  const auto scored =
      score_predictions(parse_predictions(R"({"prediction":[")" + f + "\",\"" + f +
                                              R"("],"answer":[")" + f + "\",\"" + g + R"("]})",
                                          "x"),
                        "scbench", "repoqa");
  EXPECT_THAT(scored[0].scores, ElementsAre(1, 0));  // f resembles g, but f more
}

TEST(Predictions, OfRulerAreCleanedAndReadInItsOwnNames) {
  const auto scored = score_predictions(
      parse_predictions(R"({"index":4,"pred":"one\ntwo","outputs":["One two","three"]})", "x"),
      "ruler", "niah_multivalue");
  EXPECT_EQ(scored[0].id, "4");
  EXPECT_THAT(scored[0].scores, ElementsAre(0.5));
}

TEST(Predictions, TakeAnswersFromInstances) {
  const auto instances = parse_instances(
      R"({"id":"a","task":"mf","context":"c","multi_turns":[{"input":"q","answer":9}]})", "i",
      Layout::kFathom);
  const auto answered = parse_predictions(R"({"id":"a","prediction":"9.2"})", "p", instances);
  EXPECT_THAT(score_predictions(answered, "", "")[0].scores, ElementsAre(1));
  EXPECT_THROW(parse_predictions(R"({"id":"a","prediction":["9","8"]})", "p", instances), Error);
  EXPECT_THROW(parse_predictions(R"({"id":"b","prediction":"9"})", "p", instances), Error);
}

TEST(Predictions, AreCleanedAsTheirInstancesSuiteDoes) {
  const std::string turns = R"("context":"c","multi_turns":[{"input":"q","answer":"one two"}]})";
  const auto instances =
      parse_instances(R"({"id":"a","suite":"ruler","task":"vt",)" + turns + "\n" +
                          R"({"id":"b","suite":"scbench","task":"vt",)" + turns,
                      "i", Layout::kFathom);
  const auto scored =
      score_predictions(parse_predictions("{\"id\":\"a\",\"prediction\":\"one\\ntwo\"}\n"
                                          "{\"id\":\"b\",\"prediction\":\"one\\ntwo\"}",
                                          "p", instances),
                        "", "");
  EXPECT_THAT(scored[0].scores, ElementsAre(1));
  EXPECT_THAT(scored[1].scores, ElementsAre(0));
}

TEST(Predictions, NameWhatIsWrong) {
  EXPECT_THAT(error_of("{}"), HasSubstr("'prediction' is missing"));
  EXPECT_THAT(error_of(R"({"prediction":"a"})"), HasSubstr("--instances"));
  EXPECT_THAT(error_of(R"({"prediction":[]})"), HasSubstr("empty list"));
  EXPECT_THAT(error_of(R"({"prediction":["a","b"],"answer":["a"]})"), HasSubstr("list of 2"));
  EXPECT_THAT(error_of(R"({"prediction":["a","b"],"answer":"a"})"), HasSubstr("list of 2"));
  EXPECT_THAT(error_of("{\"id\":1,\"prediction\":\"a\",\"answer\":\"a\"}\n"
                       "{\"id\":1,\"prediction\":\"a\",\"answer\":\"a\"}"),
              HasSubstr("second time"));
}

TEST(Summary, ReportsTurnsAndTheirDrop) {
  std::vector<ScoredSession> sessions;
  for (int i = 0; i < 10; ++i) {
    sessions.push_back({std::to_string(i), {1, i % 2 ? 1.0 : 0.0, 0}, {"kv", "kv", "kv"}});
  }
  const ScoreSummary s = summarize(sessions);
  EXPECT_EQ(s.questions, 30u);
  EXPECT_DOUBLE_EQ(s.mean.value, 0.5);
  EXPECT_THAT(s.by_turn, ElementsAre(1, 0.5, 0));
  EXPECT_DOUBLE_EQ(s.drop(), 0.75);
  EXPECT_TRUE(s.by_task.empty());
}

TEST(CompareSessions, GoesById) {
  const std::vector<ScoredSession> a = {{"x", {1}, {"kv"}}, {"y", {0}, {"kv"}}};
  const std::vector<ScoredSession> b = {{"y", {1}, {"kv"}}, {"x", {1}, {"kv"}}};
  EXPECT_DOUBLE_EQ(compare_sessions(a, b, "b").difference.value, 0.5);
  const std::vector<ScoredSession> c = {{"x", {1}, {"kv"}}};
  EXPECT_THROW(compare_sessions(a, c, "c"), Error);
}

}  // namespace
}  // namespace fathom::eval
