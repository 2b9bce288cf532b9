#include "eval/instance_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace fathom::eval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(const std::string& text, Layout layout = Layout::kFathom) {
  try {
    parse_instances(text, "file.jsonl", layout, "kv");
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadFile);
    return e.what();
  }
  return "no error";
}

Instance example() {
  Instance i;
  i.id = "kv-4096-0";
  i.task = "kv";
  i.seed = ~uint64_t{0};
  i.length_target = 4096;
  i.tokens = 4001;
  i.depth = 0.25;
  i.instruction = "Read.";
  i.context = "x\xC3\xA9y 12";
  i.turns.resize(2);
  i.turns[0] = {"", "y?", "It is", "So", {"12"}, {}, {{3, 4}, {5, 7}}, 0};
  i.turns[1] = {"mf", "x?", "", "", {"a", "b"}, {"a", "c"}, {}, 5};
  return i;
}

TEST(InstanceFile, ReadsWhatItWrites) {
  const Instance a = example();
  const std::string line = instance_line(a, Layout::kFathom);
  const auto all = parse_instances(line + "\n" + line, "x", Layout::kFathom);
  ASSERT_EQ(all.size(), 2u);
  const Instance& b = all[1];
  EXPECT_EQ(b.id, a.id);
  EXPECT_EQ(b.seed, a.seed);
  EXPECT_EQ(b.length_target, 4096u);
  EXPECT_EQ(b.depth, 0.25);
  EXPECT_EQ(b.context, a.context);
  EXPECT_EQ(b.turns[0].gold, a.turns[0].gold);
  EXPECT_EQ(b.turns[0].answer_prefix, "It is");
  EXPECT_THAT(b.turns[1].answers, ElementsAre("a", "b"));
  EXPECT_EQ(b.turns[1].max_new, 5u);
  EXPECT_EQ(b.task_of(b.turns[1]), "mf");
  EXPECT_EQ(instance_line(b, Layout::kFathom), line);
}

TEST(InstanceFile, CountsSpansInCharacters) {
  EXPECT_THAT(instance_line(example(), Layout::kFathom), HasSubstr("[[2,3],[4,6]]"));
}

TEST(InstanceFile, ReadsSCBenchFiles) {
  const std::string line =
      R"({"id": 17, "context": "text", "multi_turns": [{"input": "largest?", "answer": 42},)"
      R"( {"input": "which?", "options": ["a", "b"], "answer": ["b"], "extra": null}], "lang": "x"})";
  const auto all = parse_instances(line, "x", Layout::kScbench, "mf");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].id, "17");
  EXPECT_EQ(all[0].task, "mf");
  EXPECT_THAT(all[0].turns[0].answers, ElementsAre("42"));
  EXPECT_THAT(all[0].turns[1].options, ElementsAre("a", "b"));
}

TEST(InstanceFile, ReadsAndWritesRulerFiles) {
  const std::string line =
      R"({"index": 3, "input": "Long text. Which?", "outputs": ["1", "2"], "length": 4096,)"
      R"( "answer_prefix": " They are"})";
  const auto all = parse_instances(line, "x", Layout::kRuler, "vt");
  EXPECT_EQ(all[0].id, "3");
  EXPECT_EQ(all[0].length_target, 4096u);
  EXPECT_EQ(all[0].turns[0].answer_prefix, " They are");
  Instance one = example();
  one.turns.pop_back();
  EXPECT_THAT(instance_line(one, Layout::kRuler), HasSubstr(R"("input":"Read.\n\nxéy 12\n\ny?")"));
  EXPECT_THROW(instance_line(example(), Layout::kRuler), Error);
}

TEST(InstanceFile, NamesFileLineAndField) {
  EXPECT_THAT(error_of("\n{"), HasSubstr("file.jsonl:2"));
  EXPECT_THAT(error_of("[]"), HasSubstr("not an object"));
  EXPECT_THAT(error_of(R"({"multi_turns":[]})"), HasSubstr("'context' is missing"));
  EXPECT_THAT(error_of(R"({"context":"c","multi_turns":[]})"), HasSubstr("multi_turns"));
  EXPECT_THAT(error_of(R"({"context":"c","multi_turns":[{"input":"q"}]})"),
              HasSubstr("multi_turns[0].answer"));
  EXPECT_THAT(error_of(R"({"context":"c","multi_turns":[{"input":"q","answer":""}]})"),
              HasSubstr("is empty"));
  EXPECT_THAT(error_of(R"({"context":"c","multi_turns":[{"input":"q","answer":[]}]})"),
              HasSubstr("no answer"));
  EXPECT_THAT(error_of(R"({"context":"c","multi_turns":[{"input":1,"answer":"a"}]})"),
              HasSubstr("multi_turns[0].input"));
  EXPECT_THAT(
      error_of(
          R"({"context":"c","multi_turns":[{"input":"q","answer":"a","gold_spans":[[0,2]]}]})"),
      HasSubstr("outside the context of 1 characters"));
  EXPECT_THAT(
      error_of(
          R"({"context":"c","multi_turns":[{"input":"q","answer":"a","gold_spans":[[-1,0]]}]})"),
      HasSubstr("outside"));
  EXPECT_THAT(error_of(R"({"context":"c","multi_turns":[{"input":"q","answer":{}}]})"),
              HasSubstr("answer"));
  EXPECT_THAT(error_of(R"({"input":"c","outputs":"a","length":-1})", Layout::kRuler),
              HasSubstr("below 0"));
  EXPECT_THAT(error_of("{\"context\":\"\xff\"}"), HasSubstr("not valid JSON"));
}

TEST(InstanceFile, KnowsItsLayouts) {
  EXPECT_EQ(parse_layout("ruler"), Layout::kRuler);
  EXPECT_THROW(parse_layout("csv"), Error);
}

}  // namespace
}  // namespace fathom::eval
