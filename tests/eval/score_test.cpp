// Every scorer on pairs judged by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "eval/score/scorer.h"
#include "eval/score/text.h"

namespace fathom::eval {
namespace {

using Strings = std::vector<std::string>;

struct Case {
  const char* output;
  Strings golds;
  double score;
};

void check(Scorer scorer, const std::vector<Case>& cases, const Strings& options = {}) {
  for (const Case& c : cases) {
    EXPECT_NEAR(scorer({c.output, c.golds, options}), c.score, 1e-9)
        << "output: " << c.output << "\ngold: " << (c.golds.empty() ? "none" : c.golds[0]);
  }
}

TEST(Contains, LooksForTheGoldLetterByLetter) {
  check(score_contains, {{"4821", {"4821"}, 1},
                         {"The code is 4821.", {"4821"}, 1},
                         {"", {"4821"}, 0},
                         {"482", {"4821"}, 0},
                         {"4 821", {"4821"}, 0},
                         {"abc-DEF", {"abc-def"}, 0},
                         {"abc-def", {"abc-def"}, 1},
                         {"x", {"y", "x"}, 1},
                         {"14821 is more", {"4821"}, 1},  // the published rule knows no borders
                         {"\n4821\n", {"4821"}, 1}});
}

TEST(ContainsIgnoringCase, TakesAnyAlternative) {
  check(score_contains_ci_any, {{"the lantern", {"Lantern"}, 1},
                                {"LANTERN", {"a rope", "lantern"}, 1},
                                {"", {"lantern"}, 0},
                                {"a lamp", {"lantern", "rope"}, 0},
                                {"It was under the Orchard stairs, I think", {"orchard stairs"}, 1},
                                {"\xC3\x89"
                                 "cole",
                                 {"\xC3\xA9"
                                  "cole"},
                                 1},  // École, école
                                {"(B)", {"(b)"}, 1},
                                {"lan tern", {"lantern"}, 0}});
}

TEST(Recall, IsTheShareOfItemsFound) {
  check(score_recall_ci, {{"a b c d", {"a", "b", "c", "d"}, 1},
                          {"A, C", {"a", "b", "c", "d"}, 0.5},
                          {"", {"a", "b"}, 0},
                          {"1234567", {"1234567"}, 1},
                          {"123456", {"1234567"}, 0},
                          {"ABCDE FGHIJ", {"ABCDE", "FGHIJ", "KLMNO"}, 2.0 / 3},
                          {"abcde", {"ABCDE", "XXXXX"}, 0.5},
                          {"anything", {}, 0}});
}

TEST(FirstInt, TakesTheFirstRunOfDigits) {
  check(score_first_int, {{"71432", {"71432"}, 1},
                          {"The pass key is 71432.", {"71432"}, 1},
                          {"", {"71432"}, 0},
                          {"none", {"71432"}, 0},
                          {"1 71432", {"71432"}, 0},
                          {"714325", {"71432"}, 0},
                          {"7,1432", {"71432"}, 0},
                          {"key71432x", {"71432"}, 1},
                          {"71432 or 99999", {"71432"}, 1},
                          {"99999 or 71432", {"71432"}, 0}});
}

TEST(FirstNum, ReadsANumberOfAnyLength) {
  check(score_first_num, {{"17", {"17"}, 1},
                          {"The number is 17.", {"17"}, 1},
                          {"17.0", {"17"}, 1},
                          {"17.9", {"17"}, 1},  // cut to an integer, as the gold is one
                          {"17.5", {"17.5"}, 1},
                          {"17.50", {"17.5"}, 1},
                          {"17", {"17.5"}, 0},
                          {"17.", {"17"}, 1},
                          {"0017", {"17"}, 1},
                          {"170", {"17"}, 0},
                          {"", {"17"}, 0},
                          {"seventeen", {"17"}, 0},
                          {"3 then 17", {"17"}, 0},
                          {".5", {"5"}, 1},  // the digits come first in the published pattern
                          {"99999999999999999999999999", {"99999999999999999999999999"}, 1},
                          {"99999999999999999999999998", {"99999999999999999999999999"}, 0},
                          {"0", {"0"}, 1},
                          {"00.0", {"0"}, 1},
                          {"-17", {"17"}, 1},         // nor does it know signs
                          {"12", {"12 of them"}, 0},  // no number is wanted
                          {"0.5", {"5"}, 0}});
}

const Strings kOptions = {"the red barn", "the old mill", "the quiet harbour", "Ann"};

TEST(Choice, ReadsALetter) {
  check(score_choice,
        {{"B", {"B"}, 1},
         {"B.", {"B"}, 1},
         {"B) the old mill", {"B"}, 1},
         {"  B\n", {"B"}, 1},
         {"B", {"A"}, 0},
         {"", {"B"}, 0},
         {"the old mill", {"B"}, 1},
         {"The answer is B", {"B"}, 1},
         {"Answer: B", {"B"}, 1},  // not the A of the word
         {"Answer: B", {"A"}, 0},
         {"After all, option is C", {"C"}, 1},
         {"The answer is (D).", {"D"}, 1},
         {"The answer is the old mill, not C", {"B"}, 1},
         {"It must be C, I think", {"C"}, 1},
         {"Because D", {"D"}, 1},
         {"no letter here", {"A"}, 0},
         {"b", {"B"}, 0},
         {"A, B, C, D", {"A"}, 1},  // a list decides for its first: chance, no more
         {"A, B, C, D", {"D"}, 0},
         {"A B C D", {"C"}, 0},
         {"ABCD", {"A"}, 0}},
        kOptions);
}

TEST(Choice, TakesAnOptionsTextAsGold) {
  check(score_choice,
        {{"B", {"the old mill"}, 1},
         {"A", {"the old mill"}, 0},
         {"the old mill", {"the old mill"}, 1},
         {"Ann", {"D"}, 1}},
        kOptions);
}

TEST(F1Word, CountsCommonWords) {
  check(score_f1_word, {{"the cat", {"a cat"}, 1},
                        {"Cat!", {"cat"}, 1},
                        {"", {"cat"}, 0},
                        {"black cat", {"cat"}, 2.0 / 3},
                        {"cat cat", {"cat"}, 2.0 / 3},
                        {"dog", {"cat", "dog"}, 1},
                        {"one two three four", {"three four five six"}, 0.5},
                        {"the", {"the"}, 0},  // nothing is left of either
                        {"it's", {"its"}, 1},
                        {"x-ray", {"xray"}, 1}});
}

TEST(F1Char, CountsCommonCharacters) {
  check(score_f1_char, {{"\xE6\x9D\x8E\xE7\x99\xBD", {"\xE6\x9D\x8E\xE7\x99\xBD"}, 1},
                        // the same two characters and a full stop
                        {"\xE6\x9D\x8E\xE7\x99\xBD\xE3\x80\x82", {"\xE6\x9D\x8E\xE7\x99\xBD"}, 1},
                        {"\xE6\x9D\x8E", {"\xE6\x9D\x8E\xE7\x99\xBD"}, 2.0 / 3},
                        {"", {"\xE6\x9D\x8E"}, 0},
                        {"\xE7\x99\xBD\xE6\x9D\x8E", {"\xE6\x9D\x8E\xE7\x99\xBD"}, 1},
                        {"a b", {"AB"}, 1},
                        {"ab", {"cd"}, 0},
                        {"\xE3\x80\x80"
                         "ab",
                         {"ab"},
                         1},  // an ideographic space
                        {"aab", {"ab"}, 0.8}});
}

TEST(RougeLsum, JoinsCommonSubsequencesOfAllLines) {
  check(score_rouge_lsum,
        {{"the cat sat", {"the cat sat"}, 1},
         {"The CAT, sat!", {"the cat sat"}, 1},
         {"", {"the cat"}, 0},
         {"the cat", {"the cat sat down"}, 2 * 2.0 / 6},
         {"sat cat the", {"the cat sat"}, 1.0 / 3},
         // Lin's example: a reference line's common words may come from several lines
         {"a b f g h\na c i e j", {"a b c d e"}, 2 * 4.0 / 15},
         {"one two\nthree four", {"three four\none two"}, 1},
         {"cat cat cat", {"cat"}, 0.5},
         {"cat", {"dog", "cat"}, 1},
         {"x", {"y"}, 0},
         {"...", {"..."}, 0}});
}

TEST(RougeLsum, RefusesLinesOfManyThousandWords) {
  std::string line;
  for (int i = 0; i < 9000; ++i) line += "word ";
  const Strings golds = {line};
  EXPECT_THROW(score_rouge_lsum({line, golds}), Error);
}

constexpr const char* kFunction = "int add(int a, int b) {\n  return a + b ;\n}";

TEST(Bleu, IsOneForEqualTextAndNothingWithoutCommonWords) {
  EXPECT_NEAR(bleu(kFunction, kFunction), 1, 1e-12);
  EXPECT_EQ(bleu("x y z", kFunction), 0);
  EXPECT_EQ(bleu("", kFunction), 0);
}

TEST(Bleu, FollowsTheFormula) {
  // 5 words of 6; n-grams 5/5, 4/4, 3/3, 2/2; shorter: e^(1 - 6/5).
  EXPECT_NEAR(bleu("a b c d e", "a b c d e f"), std::exp(1 - 6.0 / 5), 1e-12);
  // 1-grams 3/4, 2-grams 1/3, 3-grams 0/2 -> ln 4 / 10 / 2, 4-grams 0/1 -> ln 4 / 20.
  const double want =
      std::pow(0.75 * (1.0 / 3) * (std::log(4) / 10 / 2) * (std::log(4) / 20), 0.25);
  EXPECT_NEAR(bleu("a b x c", "a b c d"), want, 1e-12);
}

TEST(FirstFunction, IsTakenFromTheFirstBlock) {
  EXPECT_EQ(first_function(std::string("Here:\n```cpp\n") + kFunction + "\nint x;\n```\nmore"),
            kFunction);
  EXPECT_EQ(first_function(kFunction), kFunction);
  EXPECT_EQ(
      first_function("```python\ndef f(x):\n    if x:\n\n        return 1\n\nprint(f(2))\n```"),
      "def f(x):\n    if x:\n\n        return 1");
  EXPECT_EQ(first_function("```\ndef f(\n    x\n):\n    return x\ndef g(): pass\n```"),
            "def f(\n    x\n):\n    return x");
  EXPECT_EQ(first_function("no code"), "no code");
  EXPECT_EQ(first_function("```"), "");
  EXPECT_EQ(first_function("} {"), "} {");
}

TEST(Bleu80, WantsTheFunctionAskedFor) {
  const Strings golds = {kFunction};
  const Strings near = {"int add(int a, int b) {\n  return a + b + 0 ;\n}"};
  const Strings far = {"int sub(int a, int b) {\n  return a - b ;\n}"};
  const std::string fenced = std::string("```\n") + kFunction + "\n```";
  EXPECT_EQ(score_bleu80({fenced, golds, {}, far}), 1);
  EXPECT_EQ(score_bleu80({fenced, golds, {}, near}), 1);
  EXPECT_EQ(score_bleu80({near[0], golds, {}, near}), 0);  // it resembles the other more
  EXPECT_EQ(score_bleu80({far[0], golds, {}, {}}), 0);
  EXPECT_EQ(score_bleu80({"", golds, {}, {}}), 0);
  EXPECT_EQ(score_bleu80({"int add(", golds, {}, {}}), 0);
}

TEST(CleanOutput, MakesControlCharactersSpaces) {
  EXPECT_EQ(clean_output("\n a\tb\x01"
                         "c \r\n"),
            "a b c");
}

TEST(Scorers, TakeAnyBytes) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  const Strings golds = {bytes, "\xff", "A"};
  for (const ScorerInfo& s : all_scorers()) {
    for (const std::string& output : {bytes, std::string("\xe6\x9d"), std::string("```\xff")}) {
      const double score = s.score({output, golds, golds, golds});
      EXPECT_TRUE(score >= 0 && score <= 1) << s.name;
    }
  }
}

TEST(ScorerRegistry, NamesTheScorerOfEachTask) {
  EXPECT_EQ(scorer_of("scbench", "kv").name, "contains");
  EXPECT_EQ(scorer_of("scbench", "scbench_choice_eng").name, "choice");
  EXPECT_EQ(scorer_of("ruler", "qa_2").name, "contains_ci_any");
  EXPECT_EQ(scorer_of("", "niah_multivalue").name, "recall_ci");
  for (const TaskScorer& t : all_task_scorers())
    EXPECT_NE(find_scorer(t.scorer), nullptr) << t.task;
}

TEST(ScorerRegistry, NamesTheNearestTask) {
  try {
    scorer_of("ruler", "niah_singel_1");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(e.hint().find("niah_single_1"), std::string::npos) << e.hint();
  }
  EXPECT_THROW(scorer_of("ruler", "kv"), Error);
  EXPECT_THROW(scorer_of("scbench", "repoqa_and_kv"), Error);
}

}  // namespace
}  // namespace fathom::eval
