// KEEP that chooses again after each turn: from what is left, and named as what it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "eval/prose.h"
#include "eval/report.h"
#include "eval/run.h"
#include "eval/sequence.h"
#include "eval/task/task.h"
#include "support/bundled_engine.h"

namespace fathom::eval {
namespace {

using After = Sequence::AfterTurns;

constexpr const char* kOnce = "keep=snapkv(budget=128) store=f32";
constexpr const char* kAgain = "keep=snapkv(budget=128)+reselect store=f32";

const engine::Engine& bundled() { return test::bundled_engine(); }

std::vector<int32_t> positions(const Sequence& s, size_t layer, size_t head) {
  const kv::HeadCache& h = s.cache().head(layer, head);
  std::vector<int32_t> out;
  for (size_t i = 0; i < h.length(); ++i) out.push_back(h.position(i));
  return out;
}

// Calls `look` with each head's positions before and after a turn of 100 tokens behind 600.
template <class Look>
void each_head(const std::string& policy, After after, Look look) {
  const Subject subject = make_subject(bundled(), policy);
  const auto text = prose_windows(bundled(), Library(), 3, 700, 1)[0].tokens;
  Sequence s(*subject.engine, after);
  ASSERT_TRUE(s.read(std::span(text).first(600)));
  const Sequence before = s.fork();
  s.append_turn(std::span(text).subspan(600));
  for (size_t l = 0; l < s.cache().shape().layers; ++l) {
    for (size_t h = 0; h < s.cache().shape().kv_heads; ++h) {
      look(positions(before, l, h), positions(s, l, h));
    }
  }
}

TEST(Reselect, ChoosesFromWhatIsLeft) {
  size_t dropped = 0;
  each_head(kAgain, After::kReselect, [&](const auto& before, const auto& after) {
    EXPECT_EQ(before.size(), 128u);
    EXPECT_EQ(after.size(), 128u) << "the budget, again";
    for (const int32_t p : after) {
      const bool was_there = std::binary_search(before.begin(), before.end(), p);
      EXPECT_TRUE(p >= 600 || was_there) << p << " came back";
    }
    for (const int32_t p : before) dropped += !std::binary_search(after.begin(), after.end(), p);
  });
  EXPECT_GT(dropped, 0u);
}

TEST(Reselect, OthersLeaveWhatALaterTurnBrings) {
  each_head(kOnce, After::kLeave, [](const auto& before, const auto& after) {
    EXPECT_EQ(after.size(), before.size() + 100);
    EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
  });
}

TEST(Reselect, GoesWithSingleStepsOfFetch) {
  const std::string line = std::string(kAgain) + " fetch=quest(budget=64)";
  each_head(line, After::kReselect,
            [](const auto&, const auto& after) { EXPECT_EQ(after.size(), 128u); });
}

TEST(Reselect, IsAnotherPolicyByName) {
  const auto native = kernel::KvFormat::kF32;
  const std::string line = full_line(kAgain, native);
  EXPECT_THAT(line, testing::HasSubstr(")+reselect store=f32"));
  EXPECT_NE(line, full_line(kOnce, native));
  EXPECT_EQ(full_line(line, native), line);
  EXPECT_EQ(short_line(line), "keep=snapkv(budget=128)+reselect store=f32");
  EXPECT_EQ(full_line("keep=random(budget=9)+reselect", native),
            "prefill=dense keep=random(budget=9,seed=1)+reselect store=f32 fetch=all");
  EXPECT_TRUE(is_control("keep=random(budget=9)+reselect"));
  EXPECT_THROW(full_line("keep=all+reselect", native), Error);
  EXPECT_THROW(full_line("store=f16+reselect", native), Error);
  EXPECT_EQ(make_subject(bundled(), kAgain).policy(), line);
  EXPECT_TRUE(make_subject(bundled(), kAgain).reselects);
  EXPECT_FALSE(make_subject(bundled(), kOnce).reselects);
}

// Budgets that hold everything leave nothing to choose.
TEST(Reselect, IsDenseWhereEverythingFits) {
  const Library library;
  const Meter meter{[](std::string_view t) { return bundled().tokenizer().encode(t).size(); },
                    frame_tokens(bundled(), 5)};
  Draw draw;
  draw.task = choose_tasks("needle/facts").at(0);
  draw.library = &library;
  draw.meter = &meter;
  draw.length = 512;
  const Instance i = make_instance(draw);
  RunOptions options;
  options.mode = AskMode::kMultiTurn;
  const auto run = [&](const std::string& policy) {
    std::vector<std::string> out;
    for (const QueryResult& r : run_instance(make_subject(bundled(), policy), i, options)) {
      out.push_back(r.output);
    }
    return out;
  };
  EXPECT_EQ(run("keep=snapkv(budget=2048)+reselect store=f32"), run("store=f32"));
  // And with a small one the cache is back at its budget in every turn.
  std::vector<size_t> once, again;
  for (const QueryResult& r : run_instance(make_subject(bundled(), kOnce), i, options))
    once.push_back(r.kv_bytes);
  for (const QueryResult& r : run_instance(make_subject(bundled(), kAgain), i, options))
    again.push_back(r.kv_bytes);
  EXPECT_EQ(again[0], once[0]);
  EXPECT_LT(again[4], once[4]);
}

}  // namespace
}  // namespace fathom::eval
