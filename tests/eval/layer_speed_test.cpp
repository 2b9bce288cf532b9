#include "eval/layer_speed.h"

#include <gtest/gtest.h>

#include "eval/recommend_speed.h"
#include "support/shared_data.h"

namespace fathom::eval {
namespace {

std::shared_ptr<engine::Engine> bundled() {
  static const auto engine = [] {
    ModelOptions options;
    options.threads = 1;
    options.context = 4096;
    return engine::Engine::load(test::bundled_model(), options);
  }();
  return engine;
}

LayerSpeed time(const std::string& kv, const LayerPlan& plan) {
  LayerTimer timer(bundled()->model().config());
  const auto engine = bundled()->with_policy(kv, plan.length);
  return timer.time(*engine, plan, [] { return true; });
}

// Timings are not asserted; what they are of is.
TEST(LayerSpeed, TimesEveryStageOfEveryCandidate) {
  for (const Candidate& c : single_changes({})) {
    const LayerPlan plan{.length = 1024, .behind = kept_tokens(c, 1024), .held = 0};
    const LayerSpeed speed = time(c.line(1024), plan);
    EXPECT_GT(speed.attend, 0) << c.line(1024);
    EXPECT_GT(speed.step, 0) << c.line(1024);
    EXPECT_EQ(speed.choose > 0, c.prefill != "dense") << c.line(1024);
    EXPECT_GT(speed.density, 0) << c.line(1024);
    EXPECT_LE(speed.density, 1) << c.line(1024);
    if (c.prefill == "dense") EXPECT_EQ(speed.density, 1);
    if (c.prefill.starts_with("minference")) EXPECT_LT(speed.density, 0.9);
  }
}

TEST(LayerSpeed, WhatIsEndedEarlyIsLeftOut) {
  LayerTimer timer(bundled()->model().config());
  const auto engine = bundled()->with_policy("", 1024);
  int asked = 0;
  const LayerSpeed speed =
      timer.time(*engine, {.length = 1024, .behind = 1024, .held = 0}, [&] { return ++asked < 2; });
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(speed.step, 0);
}

TEST(LayerSpeed, ABoundedCacheIsReadAsItIsHeld) {
  const std::string kv = "keep=streaming(sinks=4,recent=252)";
  const LayerSpeed held = time(kv, {.length = 4096, .behind = 256, .held = 896});
  EXPECT_EQ(held.density, 1);
  EXPECT_GT(held.attend, 0);
}

FarSpeed far(size_t length) {
  return {*bundled(), length, 0, [] { return true; }};
}

TEST(FarSpeed, IsInProportionWhereTheTextIsShorter) {
  const FarSpeed speed = far(8192);
  ASSERT_EQ(speed.timed_length(), 2048u) << "no time for more";
  const LayerSpeed layers{1e-4, 3e-4, 1, 2e-3};
  EXPECT_NEAR(speed.read_seconds({}, layers, 1e-3, 1), 8192 * (1e-3 + 4 * 4e-4), 1e-9);
  EXPECT_NEAR(speed.step_seconds(layers, 5e-3), 5e-3 + 4 * 2e-3, 1e-12);
  EXPECT_EQ(far(512).timed_length(), 512u);
}

// Among keys by lot a method that reads what stands out reads nearly everything.
TEST(FarSpeed, WhatIsReadByContentIsThatOfRealText) {
  const FarSpeed speed = far(2048);
  Candidate content, budget;
  content.prefill = "xattention(threshold=0.9)";
  budget.prefill = "hip(k={s})";
  budget.prefill_share = 0.25;
  const LayerSpeed layers{1e-4, 8e-4, 0.8, 2e-3};
  EXPECT_NEAR(speed.read_seconds(content, layers, 1e-3, 0.2), 2048 * (1e-3 + 1e-4 + 2e-4), 1e-9);
  EXPECT_NEAR(speed.read_seconds(budget, layers, 1e-3, 0.2), 2048 * 1.9e-3, 1e-9);
  EXPECT_NEAR(speed.read_seconds(content, layers, 1e-3, 1), 2048 * 1.9e-3, 1e-9) << "never longer";
}

}  // namespace
}  // namespace fathom::eval
