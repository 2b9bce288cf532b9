// Controls bracket every policy: what a needle's page is worth.
#include "eval/controls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "eval/checks.h"
#include "eval/run.h"
#include "eval/task/task.h"
#include "support/bundled_engine.h"

namespace fathom::eval {
namespace {

const engine::Engine& bundled() { return test::bundled_engine(); }

std::vector<Instance> facts(size_t count, size_t length = 1024) {
  static const Library library;
  const Meter meter{[](std::string_view t) { return bundled().tokenizer().encode(t).size(); },
                    frame_tokens(bundled(), 5)};
  std::vector<Instance> out;
  for (size_t i = 0; i < count; ++i) {
    Draw draw;
    draw.task = choose_tasks("needle/facts").at(0);
    draw.library = &library;
    draw.meter = &meter;
    draw.length = length;
    draw.index = i;
    draw.instances = count;
    out.push_back(make_instance(draw));
  }
  return out;
}

struct Outcome {
  double right = 0, kept = 0, fetched = 0;
  double chosen = 0, right_with_choice = 0;  // of questions with candidates
  size_t questions = 0, fetching = 0;
  double share() const { return right / double(questions); }
};
Outcome ask(const std::string& policy, const std::vector<Instance>& instances) {
  const Subject subject = make_subject(bundled(), policy);
  Outcome out;
  RunOptions options;
  options.others = instances;
  for (const Instance& i : instances) {
    for (const QueryResult& r : run_instance(subject, i, options)) {
      out.right += r.score;
      out.kept += r.gold_kept.value_or(0);
      out.chosen += r.chosen.value_or(false);
      if (r.chosen) out.right_with_choice += r.score;
      ++out.questions;
      if (!r.gold_fetched) continue;
      out.fetched += *r.gold_fetched;
      ++out.fetching;
    }
  }
  return out;
}

TEST(Controls, APolicyThatDropsTheNeedlesPageScoresZeroOnIt) {
  // Four sinks and the last 60 tokens of some thousand: nothing that was asked for is among them.
  auto instances = facts(4);
  for (Instance& i : instances) {
    std::erase_if(i.turns, [&](const Turn& t) {
      return t.gold[0].end + 400 > i.context.size() || t.gold[0].begin < 100 ||
             t.answers[0].find_first_of("0123456789") == std::string::npos;
    });
  }
  std::erase_if(instances, [](const Instance& i) { return i.turns.empty(); });
  ASSERT_FALSE(instances.empty());
  const Outcome window = ask("keep=streaming(sinks=4,recent=60)", instances);
  EXPECT_EQ(window.kept, 0);
  EXPECT_EQ(window.right, 0);
  EXPECT_GE(ask("", instances).share(), 0.7);
}

TEST(Controls, BracketEviction) {
  const auto instances = facts(6);
  const double dense = ask("", instances).share();
  const Outcome gold = ask("keep=gold(budget=256)", instances);
  const Outcome lots = ask("keep=random(budget=256)", instances);
  const Outcome snap = ask("keep=snapkv(budget=256)", instances);
  EXPECT_DOUBLE_EQ(gold.kept, double(gold.questions));
  EXPECT_GT(gold.share(), dense - 0.1);
  EXPECT_LT(lots.share(), gold.share());
  EXPECT_LE(snap.share(), gold.share() + 0.05);
  // 252 of some 950 by lot: the share that stays is near it in every head.
  EXPECT_NEAR(lots.kept / double(lots.questions), 0.27, 0.06);
}

TEST(Controls, BracketFetching) {
  const auto instances = facts(4);
  const Outcome oracle = ask("fetch=oracle(budget=256)", instances);
  const Outcome lots = ask("fetch=random(budget=256)", instances);
  EXPECT_GT(oracle.share(), lots.share());
  EXPECT_GT(oracle.fetching, 0u);
  EXPECT_GT(oracle.fetched, lots.fetched);
}

TEST(Controls, ABudgetThatCoversEverythingIsDense) {
  const auto instances = facts(1);
  const auto outputs = [&](const std::string& policy) {
    std::vector<std::string> out;
    for (const QueryResult& r : run_instance(make_subject(bundled(), policy), instances[0], {})) {
      out.push_back(r.output);
    }
    return out;
  };
  const auto dense = outputs("");
  EXPECT_EQ(outputs("keep=random(budget=4096)"), dense);
  EXPECT_EQ(outputs("keep=gold(budget=4096)"), dense);
  EXPECT_EQ(outputs("fetch=random(budget=8192)"), dense);
  EXPECT_EQ(outputs("fetch=oracle(budget=8192)"), dense);
}

TEST(Checks, TasksAskForTheContext) {
  auto instances = facts(3);
  EXPECT_GE(ask("", instances).share(), 0.7);
  std::vector<Instance> closed, without;
  for (const Instance& i : instances) {
    closed.push_back(without_context(i));
    without.push_back(without_gold(i));
    for (const Turn& t : i.turns) {
      EXPECT_EQ(without.back().context.find(i.context.substr(t.gold[0].begin, 20)),
                std::string::npos);
    }
  }
  EXPECT_LT(ask("", closed).share(), 0.35);
  EXPECT_LT(ask("", without).share(), 0.35);
}

TEST(ControlLines, AreToldFromTheRegistrys) {
  const auto native = kernel::KvFormat::kF16;
  EXPECT_EQ(full_line("keep=random(budget=64)", native),
            "prefill=dense keep=random(budget=64,seed=1) store=f16 fetch=all");
  EXPECT_EQ(full_line("store=f32 fetch=oracle", native),
            "prefill=dense keep=all store=f32 fetch=oracle(budget=256,seed=1,page=64)");
  EXPECT_TRUE(is_control("keep=gold(budget=4) store=f32"));
  EXPECT_FALSE(is_control("keep=snapkv(budget=4)"));
  EXPECT_THROW(full_line("keep=random(budgte=64)", native), Error);
  EXPECT_THROW(full_line("keep=lots", native), Error);
  for (const std::string& line : control_lines(128)) EXPECT_NO_THROW(full_line(line, native));
}

TEST(ShortLine, LeavesOutDefaults) {
  const auto native = kernel::KvFormat::kF32;
  EXPECT_EQ(short_line(full_line("", kernel::default_kernels().native_kv)), "dense");
  EXPECT_EQ(short_line(full_line("keep=snapkv(budget=2048) store=q8", native)),
            "keep=snapkv(budget=2048) store=q8");
  EXPECT_EQ(short_line(full_line("fetch=quest(budget=64,page=32)", native)),
            "store=f32 fetch=quest(budget=64,page=32)");
}

TEST(RunInstance, RecognisesWhatItWrites) {
  const auto instances = facts(4);
  const Outcome dense = ask("", instances);
  // A model that writes the answer finds it likelier than others of its kind.
  EXPECT_GT(dense.right_with_choice, 3);
  EXPECT_GE(dense.chosen, dense.right_with_choice - 1);
  const auto r = run_instance(make_subject(bundled(), ""), instances[0], {});
  for (const QueryResult& q : r) {
    ASSERT_TRUE(q.gold_nll);
    EXPECT_GE(*q.gold_nll, 0);
    EXPECT_EQ(q.gold_kept, 1.0);
    EXPECT_EQ(q.gold_layers, 1.0);
    EXPECT_FALSE(q.gold_fetched);  // nothing chooses
  }
}

}  // namespace
}  // namespace fathom::eval
