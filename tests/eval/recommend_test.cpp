#include "eval/recommend.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "eval/recommend_text.h"
#include "support/shared_data.h"

namespace fathom::eval {
namespace {

std::shared_ptr<engine::Engine> bundled() {
  ModelOptions options;
  options.threads = 2;
  options.context = 1024;
  return engine::Engine::load(test::bundled_model(), options);
}

RecommendOptions quick(size_t length, size_t memory) {
  RecommendOptions options;
  options.length = length;
  options.memory = memory;
  options.windows = 2;
  options.seconds = 0.5;
  return options;
}

// Weights and scratch, as the search counts them.
size_t fixed_bytes(const engine::Engine& engine) {
  ModelOptions options;
  options.context = 64;
  options.batch = engine.runner().options().batch_tokens;
  const auto plan = engine::plan_memory(engine.model().config(), engine.model().weights().bytes(),
                                        kv::make_policy({}, kernel::KvFormat::kF16), options);
  return plan.weight_bytes + plan.scratch_bytes;
}

TEST(Recommend, LinesScaleWithTheLength) {
  Candidate c;
  EXPECT_EQ(c.line(1000), "prefill=dense keep=all store=auto fetch=all");
  c.store = "k4v4";
  c.keep = 0.25;
  c.fetch = 0.125;
  EXPECT_EQ(c.line(65536),
            "prefill=dense keep=streaming(sinks=4,recent=16380,positions=slots) store=k4v4 "
            "fetch=quest(budget=8192,page=64)");
  EXPECT_EQ(c.line(4096),
            "prefill=dense keep=streaming(sinks=4,recent=1020,positions=slots) store=k4v4 "
            "fetch=quest(budget=512,page=64)");
  kv::parse_policy(c.line(64));
}

TEST(Recommend, WithRoomEverythingIsComparedAndSomethingIsChosen) {
  const auto engine = bundled();
  const Recommendation r = recommend(*engine, quick(2048, size_t{1} << 30));
  EXPECT_TRUE(r.complete);
  ASSERT_FALSE(r.policy.empty());
  EXPECT_LE(r.measured_length, 2048u);
  EXPECT_GE(r.measured_length, 400u);
  size_t chosen = 0;
  for (const Evidence& e : r.evidence) {
    chosen += e.verdict == Verdict::kChosen;
    EXPECT_TRUE(e.measured) << e.policy << ": " << e.reason;
  }
  EXPECT_EQ(chosen, 1u);
  // 16-bit floats are invisible, two bits are not.
  EXPECT_LT(r.evidence[0].loss(), 0.01);
  ASSERT_EQ(r.evidence[4].candidate.store, "k2v2");
  EXPECT_GT(r.evidence[4].kl, r.evidence[0].kl);
}

TEST(Recommend, WhatIsChosenFitsWhereItSaysItDoes) {
  const auto engine = bundled();
  const size_t length = 2048;
  auto options = quick(length, fixed_bytes(*engine) + (size_t{3} << 20));
  options.loss = 0.1;
  const Recommendation r = recommend(*engine, options);
  EXPECT_EQ(r.evidence[0].verdict, Verdict::kTooLarge) << "4 MiB of 16-bit floats";
  EXPECT_FALSE(r.evidence[0].measured);
  ASSERT_FALSE(r.policy.empty());
  const Evidence* best = nullptr;
  for (const Evidence& e : r.evidence) {
    if (e.verdict == Verdict::kChosen) best = &e;
  }
  ASSERT_NE(best, nullptr);
  EXPECT_EQ(r.fixed_bytes, fixed_bytes(*engine));
  EXPECT_LE(r.fixed_bytes + best->cache_bytes, options.memory);
  ModelOptions load;
  load.threads = 2;
  load.context = length;
  load.kv = r.policy;
  load.kv_bytes = best->cache_bytes;
  const auto other = engine::Engine::load(test::bundled_model(), load);
  kv::SequenceCache cache = other->runner().new_cache();
  const std::vector<engine::TokenId> tokens(length, 17);
  other->runner().read(cache, tokens);
  EXPECT_LE(other->runner().pages().stats().peak_bytes, best->cache_bytes);
  EXPECT_GT(other->runner().pages().stats().peak_bytes, best->cache_bytes / 2) << "not a guess";
}

TEST(Recommend, LimitsThatNothingKeepsAreNotStretched) {
  const auto engine = bundled();
  RecommendOptions options = quick(1024, size_t{1} << 30);
  options.loss = 1e-12;
  const Recommendation strict = recommend(*engine, options);
  EXPECT_TRUE(strict.policy.empty());
  for (const Evidence& e : strict.evidence) EXPECT_EQ(e.verdict, Verdict::kTooLossy) << e.policy;
  options = quick(1024, 1000);
  EXPECT_THROW(recommend(*engine, options), Error);
}

TEST(Recommend, AnEarlyEndRecommendsNothing) {
  const auto engine = bundled();
  int calls = 0;
  const Recommendation r =
      recommend(*engine, quick(1024, size_t{1} << 30), [&](const ProgressUpdate& u) {
        EXPECT_LE(u.done, u.total);
        return ++calls < 4;
      });
  EXPECT_FALSE(r.complete);
  EXPECT_EQ(calls, 4);
}

TEST(Recommend, TextsHoldTheirFactsAndAreAsLongAsAsked) {
  const auto engine = bundled();
  const text::Tokenizer& tokenizer = engine->tokenizer();
  for (const std::string& own : {std::string(), [] {
                                   std::string text;
                                   for (int i = 0; i < 400; ++i)
                                     text +=
                                         "It was the same with number " + std::to_string(i) + ". ";
                                   return text;
                                 }()}) {
    const auto windows = make_windows(tokenizer, {3, 1024}, own);
    ASSERT_EQ(windows.size(), 3u);
    for (const Window& w : windows) {
      EXPECT_NEAR(double(w.length()), 1024, 128);
      const std::string text = tokenizer.decode(w.text), facts = tokenizer.decode(w.facts);
      size_t found = 0;
      for (size_t at = 0; at < facts.size();) {
        const size_t end = std::min(facts.find(". ", at), facts.size() - 1);
        found += text.find(facts.substr(at, end - at)) != std::string::npos;
        at = end + 2;
      }
      EXPECT_EQ(found, 8u) << facts;
    }
  }
  EXPECT_THROW(make_windows(tokenizer, {3, 1024}, "Too short."), Error);
}

}  // namespace
}  // namespace fathom::eval
