#include "eval/candidates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fathom::eval {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ShapeOf, TellsKindsOfAnswers) {
  EXPECT_EQ(shape_of("58291"), "d5");
  EXPECT_EQ(shape_of("3f2c-9a"), "h7");
  EXPECT_EQ(shape_of("QWERT"), "U5");
  EXPECT_EQ(shape_of("Clara Ashford"), "A A");
  EXPECT_EQ(shape_of("red"), "a");
  EXPECT_EQ(shape_of(""), "");
}

Instance asking(std::vector<std::string> answers, const std::string& context) {
  Instance out;
  out.id = "x";
  out.suite = "needle";
  out.task = "facts";
  out.context = context;
  for (std::string& a : answers) {
    out.turns.emplace_back();
    out.turns.back().answers = {std::move(a)};
  }
  return out;
}

TEST(Candidates, ComeFromOtherTurnsThenTheContextThenOtherInstances) {
  const Instance i = asking({"11111", "22222", "red"}, "33333 and 4444, 22222; 55555-6 11111");
  Instance other = asking({"66666", "7"}, "");
  other.id = "y";
  EXPECT_THAT(candidates(i, 0, {&other, 1}), ElementsAre("11111", "22222", "33333", "66666"));
  EXPECT_THAT(candidates(i, 2, {}), ElementsAre("red"));  // no choice
}

TEST(Candidates, AreAtMostEight) {
  std::string context;
  for (int i = 10000; i < 10100; ++i) context += std::to_string(i) + " ";
  const Instance i = asking({"99999"}, context);
  const auto c = candidates(i, 0, {});
  EXPECT_EQ(c.size(), kMostCandidates);
  EXPECT_EQ(c[0], "99999");
  EXPECT_EQ(candidates(i, 0, {}), c);  // the same again
}

TEST(Candidates, AreTheOptionsOfAMultipleChoice) {
  Instance i = asking({"B"}, "");
  i.suite = "scbench";
  i.task = "choice_eng";
  i.turns[0].options = {"one", "two", "three", "four"};
  EXPECT_THAT(candidates(i, 0, {}), ElementsAre("B", "A", "C", "D"));
  i.turns[0].answers = {"two"};
  EXPECT_THAT(candidates(i, 0, {}), ElementsAre("two", "one", "three", "four"));
}

TEST(Candidates, DoNotStandForLists) {
  Instance i = asking({"11111"}, "22222");
  i.suite = "ruler";
  i.task = "niah_multivalue";
  i.turns[0].answers = {"11111", "33333"};
  EXPECT_THAT(candidates(i, 0, {}), IsEmpty());
}

}  // namespace
}  // namespace fathom::eval
