#include "eval/recommend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

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
  options.seconds = 1e5;  // never over, under sanitizers neither: `changes` ends the search
  options.changes = 6;
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
  c.keep = {"streaming", 0.25};
  c.fetch = {"quest(page=64)", 0.125};
  EXPECT_EQ(c.line(65536),
            "prefill=dense keep=streaming(sinks=4,recent=16380,positions=slots) store=k4v4 "
            "fetch=quest(budget=8192,page=64)");
  EXPECT_EQ(c.line(4096),
            "prefill=dense keep=streaming(sinks=4,recent=1020,positions=slots) store=k4v4 "
            "fetch=quest(budget=512,page=64)");
  c = {};
  c.prefill = "minference(vertical={s},slash={s})";
  c.prefill_share = 1.0 / 16;
  c.keep = {"snapkv", 0.25};
  EXPECT_EQ(c.line(4096),
            "prefill=minference(vertical=256,slash=256) keep=snapkv(budget=1024) store=auto "
            "fetch=all");
}

TEST(Recommend, EveryChangeIsOneStageAndAPolicy) {
  const Candidate base;
  const std::vector<Candidate> changes = single_changes(base);
  EXPECT_GE(changes.size(), 25u);
  for (const Candidate& c : changes) {
    const int stages = (c.store != base.store) + (c.prefill != base.prefill) +
                       !(c.keep == base.keep) + !(c.fetch == base.fetch);
    EXPECT_EQ(stages, 1) << c.line(4096);
    for (const size_t length : {64, 512, 65536}) {
      kv::make_policy(kv::parse_policy(c.line(length)), kernel::KvFormat::kBF16);
    }
    EXPECT_EQ(std::count(changes.begin(), changes.end(), c), 1) << c.line(4096);
  }
}

TEST(Recommend, CombinationsAreOfWhatChangedAndNeverTwice) {
  BestChanges best;
  EXPECT_TRUE(combinations(best).empty());
  best.prefill.prefill = "anchor";
  EXPECT_TRUE(combinations(best).empty()) << "one change is known already";
  best.fetch.fetch = {"quest", 0.25};
  best.store.store = "q8";
  const auto made = combinations(best);
  EXPECT_EQ(made.size(), 4u);  // three pairs and all of them
  for (const Candidate& c : made) EXPECT_TRUE(c.keep.method.empty());
}

TEST(Recommend, WithRoomEverythingIsComparedAndSomethingIsChosen) {
  const auto engine = bundled();
  const Recommendation r = recommend(*engine, quick(2048, size_t{1} << 30));
  EXPECT_TRUE(r.complete);
  ASSERT_FALSE(r.policy.empty());
  EXPECT_LE(r.measured_length, 2048u);
  EXPECT_GE(r.measured_length, 1800u);
  EXPECT_EQ(r.judge, Judge::kPerplexity) << "the model finds facts again, " << r.facts_gain;
  size_t chosen = 0;
  for (const Evidence& e : r.evidence) {
    chosen += e.verdict == Verdict::kChosen;
    EXPECT_GE(e.texts, 1u) << e.policy << ": " << e.reason;
    EXPECT_GT(e.read_seconds, 0);
    EXPECT_GT(e.step_seconds, 0);
  }
  EXPECT_EQ(chosen, 1u);
  EXPECT_GE(r.evidence.size(), 7u);
  EXPECT_EQ(r.evidence[0].texts, 2u) << "the base stands beside all others";
  // 16-bit floats are invisible, a quarter of the tokens is not.
  EXPECT_LT(r.evidence[0].loss(Judge::kPerplexity), 0.01);
  ASSERT_EQ(r.evidence[5].candidate.keep.method, "snapkv");
  EXPECT_GT(r.evidence[5].kl_facts.value, r.evidence[0].kl_facts.value);
  EXPECT_EQ(r.evidence[5].verdict, Verdict::kTooLossy);
}

TEST(Recommend, WhereLosingTheFactsCannotShowDivergenceJudges) {
  const auto engine = bundled();
  RecommendOptions options = quick(1024, size_t{1} << 30);
  options.changes = 1;
  options.loss = 1;  // losing all facts costs less than five times that
  const Recommendation r = recommend(*engine, options);
  EXPECT_GT(r.facts_gain, 0.05) << "nats a token";
  EXPECT_EQ(r.judge, Judge::kDivergence);
  const Evidence& e = r.evidence[0];
  EXPECT_DOUBLE_EQ(e.loss(r.judge),
                   std::expm1(std::max(e.kl_text.interval.high, e.kl_facts.interval.high)));
  EXPECT_GE(e.kl_text.value, 0);
  EXPECT_LT(e.loss(r.judge), 1e-3);
}

TEST(Recommend, EndsInTimeWithWhatItHas) {
  const auto engine = bundled();
  RecommendOptions options = quick(4096, size_t{1} << 30);
  options.seconds = 0.001;
  options.changes = 100;
  const Recommendation r = recommend(*engine, options);
  EXPECT_TRUE(r.complete);
  EXPECT_EQ(r.policy, "prefill=dense keep=all store=auto fetch=all");
  EXPECT_EQ(r.evidence[0].texts, 2u);
  EXPECT_LE(r.measured_length, 700u);
  for (size_t i = 1; i < r.evidence.size(); ++i) {
    EXPECT_EQ(r.evidence[i].texts, 0u);
    EXPECT_EQ(r.evidence[i].verdict, Verdict::kUnfinished);
    EXPECT_NE(r.evidence[i].reason.find("not measured"), std::string::npos);
  }
}

TEST(Recommend, WhatIsChosenFitsWhereItSaysItDoes) {
  const auto engine = bundled();
  const size_t length = 2048;
  auto options = quick(length, fixed_bytes(*engine) + (size_t{3} << 20));
  options.windows = 3;
  options.loss = 0.1;
  const Recommendation r = recommend(*engine, options);
  const auto plain = std::find_if(r.evidence.begin(), r.evidence.end(),
                                  [](const Evidence& e) { return e.candidate == Candidate{}; });
  ASSERT_NE(plain, r.evidence.end());
  EXPECT_EQ(plain->verdict, Verdict::kTooLarge) << "4 MiB of 16-bit floats";
  EXPECT_EQ(plain->texts, 0u);
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
  for (const Evidence& e : strict.evidence) {
    EXPECT_TRUE(e.verdict == Verdict::kTooLossy || e.verdict == Verdict::kTooLarge) << e.policy;
  }
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
  for (const Evidence& e : r.evidence) {
    EXPECT_EQ(e.reason.find("time was over"), std::string::npos) << "nobody waited for its end";
  }
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
    auto windows = make_windows(tokenizer, {3, 1024}, own);
    ASSERT_EQ(windows.size(), 3u);
    for (const Window& w : windows) EXPECT_NEAR(double(w.length()), 1024, 128);
    for (Window& w : make_windows(tokenizer, {3, 512}, own)) windows.push_back(std::move(w));
    for (const Window& w : windows) {
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
