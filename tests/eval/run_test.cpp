// Instances on the bundled model: the three ways of asking, and what is reported.
#include "eval/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "eval/report.h"
#include "eval/task/task.h"
#include "support/shared_data.h"

namespace fathom::eval {
namespace {

using testing::HasSubstr;

std::shared_ptr<engine::Engine> load(const std::string& kv) {
  ModelOptions options;
  options.threads = 1;
  options.kv = kv;
  return engine::Engine::load(test::bundled_model(), options);
}

const std::shared_ptr<engine::Engine>& bundled() {
  static const auto engine = load("store=f32");
  return engine;
}

std::vector<QueryResult> run(const Instance& instance, AskMode mode,
                             const std::string& policy = "store=f32") {
  RunOptions options;
  options.mode = mode;
  return run_instance(make_subject(*bundled(), policy), instance, options);
}

Instance facts_instance(size_t index, size_t length = 1024, bool own_answers = false) {
  static const Library library;
  const Meter meter{[](std::string_view t) { return bundled()->tokenizer().encode(t).size(); },
                    frame_tokens(*bundled(), 5)};
  Draw draw;
  draw.task = choose_tasks("needle/facts").at(0);
  draw.library = &library;
  draw.meter = &meter;
  draw.length = length;
  draw.index = index;
  draw.own_answers = own_answers;
  return make_instance(draw);
}

std::vector<std::string> outputs(const std::vector<QueryResult>& results) {
  std::vector<std::string> out;
  for (const QueryResult& r : results) out.push_back(r.output);
  return out;
}

TEST(RunInstance, FindsFactsInTheTextTheModelWasTrainedFor) {
  double right = 0;
  for (size_t i = 0; i < 4; ++i) {
    for (const QueryResult& r : run(facts_instance(i), AskMode::kMultiRequest)) {
      right += r.score;
    }
  }
  EXPECT_GE(right, 10);  // of 20
}

TEST(RunInstance, RequestsAnswerAsSingleQuestionsDo) {
  // With the dense policy a shared beginning changes no bit.
  const Instance i = facts_instance(1);
  EXPECT_EQ(outputs(run(i, AskMode::kMultiRequest)), outputs(run(i, AskMode::kSingle)));
}

TEST(RunInstance, RequestsDoNotSeeEachOther) {
  Instance i = facts_instance(2);
  const auto forward = outputs(run(i, AskMode::kMultiRequest));
  std::reverse(i.turns.begin(), i.turns.end());
  auto backward = outputs(run(i, AskMode::kMultiRequest));
  std::reverse(backward.begin(), backward.end());
  EXPECT_EQ(forward, backward);
}

TEST(RunInstance, ReadsTheContextOnce) {
  const Instance i = facts_instance(0);
  for (const AskMode mode : {AskMode::kMultiRequest, AskMode::kMultiTurn}) {
    const auto results = run(i, mode);
    ASSERT_EQ(results.size(), 5u);
    EXPECT_GT(results[0].read_tokens, 800u);
    for (size_t t = 1; t < 5; ++t) EXPECT_LT(results[t].read_tokens, 100u);
  }
  for (const QueryResult& r : run(i, AskMode::kSingle)) {
    EXPECT_GT(r.read_tokens, 800u);
  }
}

TEST(RunInstance, LeavesNoPagesBehind) {
  const Subject subject = make_subject(*bundled(), "store=f32");
  RunOptions options;
  for (const AskMode mode : {AskMode::kMultiTurn, AskMode::kMultiRequest}) {
    options.mode = mode;
    run_instance(subject, facts_instance(0), options);
    EXPECT_EQ(subject.engine->runner().pages().stats().used_bytes, 0u);
  }
}

TEST(QuestionPrompt, HoldsTheGoldAnswersOfEarlierTurns) {
  const Instance i = facts_instance(3);
  const auto text = [&](AskMode mode) {
    return bundled()->tokenizer().decode(question_prompt(*bundled(), i, 2, mode));
  };
  EXPECT_THAT(text(AskMode::kMultiTurn), HasSubstr(i.turns[1].input + i.turns[1].answers[0]));
  EXPECT_EQ(text(AskMode::kSingle).find(i.turns[1].input), std::string::npos);
}

TEST(PromptAfter, TheRightAnswerGivesTheGoldenPrompt) {
  const Instance i = facts_instance(3);
  const std::string& gold = i.turns[0].answers[0];
  const auto before = question_prompt(*bundled(), i, 0, AskMode::kMultiTurn);
  const auto golden = question_prompt(*bundled(), i, 1, AskMode::kMultiTurn);
  const OwnAnswer right{bundled()->tokenizer().encode(gold), gold};
  EXPECT_EQ(prompt_after(*bundled(), i, 1, before, right), golden);
  // What a stop string cut off is not part of the conversation.
  const OwnAnswer more{bundled()->tokenizer().encode(gold + "\n\nAnd more"), gold};
  EXPECT_EQ(prompt_after(*bundled(), i, 1, before, more), golden);
}

TEST(PromptAfter, PutsTheTurnsEndBehindWhatWasSaid) {
  const Instance i = facts_instance(3);
  const text::Tokenizer& tokenizer = bundled()->tokenizer();
  const auto before = question_prompt(*bundled(), i, 0, AskMode::kMultiTurn);
  const OwnAnswer wrong{tokenizer.encode("a red herring"), "a red herring"};
  const auto after = prompt_after(*bundled(), i, 1, before, wrong);
  ASSERT_GT(after.size(), before.size() + wrong.tokens.size());
  EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
  const auto behind = std::span(after).subspan(before.size());
  EXPECT_TRUE(std::equal(wrong.tokens.begin(), wrong.tokens.end(), behind.begin()));
  EXPECT_TRUE(tokenizer.ends_generation(behind[wrong.tokens.size()]));
  EXPECT_EQ(tokenizer.decode(after).find(i.turns[0].answers[0]),
            tokenizer.decode(before).find(i.turns[0].answers[0]));
}

TEST(RunInstance, OwnAnswersDoNotDependOnTheRightOnes) {
  Instance i = facts_instance(2);
  const auto own = run(i, AskMode::kOwnTurns);
  const auto golden = run(i, AskMode::kMultiTurn);
  ASSERT_EQ(own.size(), 5u);
  EXPECT_EQ(own[0].output, golden[0].output);
  for (size_t t = 1; t < 5; ++t) EXPECT_LT(own[t].read_tokens, 100u);
  for (Turn& t : i.turns) t.answers = {"nothing of the kind at all"};
  EXPECT_EQ(outputs(run(i, AskMode::kOwnTurns)), outputs(own));
  const auto misled = run(i, AskMode::kMultiTurn);
  EXPECT_GT(misled[1].read_tokens, golden[1].read_tokens) << "these are read";
}

TEST(RunInstance, OwnAnswersAreWrittenWhereOnlyTheChoiceIsJudged) {
  RunOptions options;
  options.mode = AskMode::kOwnTurns;
  options.generate = false;
  const auto results =
      run_instance(make_subject(*bundled(), "store=f32"), facts_instance(0), options);
  ASSERT_EQ(results.size(), 5u);
  EXPECT_TRUE(results[4].generated);
}

TEST(RunInstance, FitsTheContextItWasMeasuredFor) {
  const Instance i = facts_instance(0, 4096);
  EXPECT_EQ(bundled()->context(), 4096u);
  EXPECT_EQ(run(i, AskMode::kMultiTurn).size(), 5u);
}

TEST(RunInstance, LeavesRoomForEveryOwnAnswer) {
  const Instance golden = facts_instance(0, 1024), own = facts_instance(0, 1024, true);
  const auto tokens = [](const Instance& i) {
    return question_prompt(*bundled(), i, 4, AskMode::kMultiTurn).size();
  };
  size_t most = 0;
  for (const Turn& t : own.turns) most += t.max_new;
  EXPECT_LE(tokens(own) + most, 1024u);
  EXPECT_GT(tokens(golden) + most, 1024u);
  EXPECT_EQ(own.turns[3].input, golden.turns[3].input);
  Instance cut = golden;
  EXPECT_EQ(cut_middle(*bundled(), cut, 1024), 0u);
  EXPECT_GT(cut_middle(*bundled(), cut, 1024, AskMode::kOwnTurns), 0u);
  EXPECT_LE(tokens(cut) + most, 1024u);
}

std::vector<ResultLine> lines_of(const std::string& policy, int sessions, int right) {
  std::vector<ResultLine> out;
  for (int i = 0; i < sessions; ++i) {
    ResultLine l;
    l.policy = policy;
    l.mode = "single";
    l.suite = "needle";
    l.task = "needle";
    l.id = "n" + std::to_string(i);
    l.length = 1024;
    l.result.score = i < right;
    l.result.output = "out \xC3\xA9";
    l.result.read_tokens = 1000;
    l.result.read_seconds = 0.5;
    l.result.kv_bytes = 4096;
    out.push_back(l);
  }
  return out;
}

TEST(Report, ComparesPoliciesInPairs) {
  auto lines = lines_of("dense", 100, 90);
  const auto others = lines_of("lossy", 100, 60);
  lines.insert(lines.end(), others.begin(), others.end());
  const Report report = make_report({lines});
  ASSERT_EQ(report.policies.size(), 2u);
  EXPECT_DOUBLE_EQ(report.policies[0].mean.value, 0.9);
  EXPECT_EQ(report.policies[0].cost.prefill_tokens_per_second, 2000);
  const AgainstFirst& against = *report.policies[1].against_first;
  EXPECT_NEAR(against.difference.difference.value, -0.3, 1e-12);
  // 30 discordant pairs, all one way: 2 * 2^-30.
  EXPECT_NEAR(*against.mcnemar, std::ldexp(1.0, -29), 1e-15);
  const std::string text = report_text(report);
  EXPECT_THAT(text, HasSubstr("(2) lossy"));
  EXPECT_THAT(text, HasSubstr("difference -30.0 points"));
}

TEST(Report, LeavesOutSessionsThatAreNotComplete) {
  auto lines = lines_of("dense", 3, 3);
  lines[1].turns = 2;
  EXPECT_EQ(make_report({lines}).policies[0].cells[0].sessions.size(), 2u);
  EXPECT_EQ(report_text(make_report({std::span<const ResultLine>()})), "no results\n");
}

TEST(Results, AreReadAsTheyAreWritten) {
  for (const ResultLine& l : lines_of("a", 2, 1)) {
    const auto again = parse_results(result_line(l), "x");
    EXPECT_EQ(result_line(again.at(0)), result_line(l));
  }
  EXPECT_THROW(parse_results("{}", "x"), Error);
  std::string line = result_line(lines_of("a", 1, 1)[0]);
  line.replace(line.find("\"score\":1.0"), 11, "\"score\":2.0");
  EXPECT_THROW(parse_results(line, "x"), Error);
}

}  // namespace
}  // namespace fathom::eval
