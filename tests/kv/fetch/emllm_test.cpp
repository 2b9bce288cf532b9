#include "kv/fetch/emllm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace fathom::kv {
namespace {

TEST(EventCutter, CutsAtSurprisesWithinLimits) {
  std::vector<float> surprise(200, 1.0f);
  for (size_t t = 0; t < 200; t += 2) surprise[t] = 1.5f;
  surprise[43] = 9, surprise[45] = 9, surprise[80] = 9;
  EventCutter cutter({1.0, 8, 32, 4, 1000});
  EXPECT_EQ(cutter.cut(surprise, 4, 20), 0u);     // no surprise yet, and room left
  EXPECT_EQ(cutter.cut(surprise, 4, 100), 36u);   // at most 32
  EXPECT_EQ(cutter.cut(surprise, 36, 100), 45u);  // 43 is too near the beginning
  EXPECT_EQ(cutter.cut(surprise, 60, 90), 80u);
  EXPECT_EQ(cutter.cut({}, 4, 100), 36u);  // nothing known: one size
}

TEST(EventCutter, MeanAndDeviationAreThoseOfTheTokensBefore) {
  std::mt19937 rng(1);
  std::vector<float> surprise(300);
  for (float& s : surprise) s = float(rng() % 1000) / 100;
  EventCutter cutter({1.0, 8, 32, 16, 64});
  for (size_t t = 0; t < 300; ++t) {
    const size_t first = std::max<size_t>(16, t < 64 ? 0 : t - 64);
    bool want = false;
    if (t >= first + 2) {
      double mean = 0, squares = 0;
      for (size_t i = first; i < t; ++i) mean += surprise[i] / double(t - first);
      for (size_t i = first; i < t; ++i) squares += std::pow(surprise[i] - mean, 2);
      want = surprise[t] > mean + std::sqrt(squares / double(t - first - 1));
    }
    EXPECT_EQ(cutter.surprising(surprise, t), want) << t;
  }
}

}  // namespace
}  // namespace fathom::kv
