#include "eval/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace fathom::eval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct WilsonCase {
  double successes, trials, low, high;
};
// As docs/evaluation.md and textbooks give them, in percent.
constexpr WilsonCase kWilson[] = {
    {50, 50, 92.9, 100}, {95, 100, 88.8, 97.8}, {160, 200, 73.9, 85.0}, {250, 500, 45.6, 54.4}};
TEST(Wilson, GivesThePublishedIntervals) {
  for (const WilsonCase& c : kWilson) {
    const Interval i = wilson(c.successes, c.trials);
    EXPECT_NEAR(100 * i.low, c.low, 0.05) << c.successes << " of " << c.trials;
    EXPECT_NEAR(100 * i.high, c.high, 0.05) << c.successes << " of " << c.trials;
  }
  EXPECT_EQ(wilson(0, 0).high, 1);
}

TEST(McNemar, IsTheExactBinomialTest) {
  EXPECT_DOUBLE_EQ(mcnemar(0, 0), 1);
  EXPECT_NEAR(mcnemar(0, 5), 2.0 / 32, 1e-12);
  EXPECT_NEAR(mcnemar(1, 5), 2.0 * 7 / 64, 1e-12);
  EXPECT_NEAR(mcnemar(5, 1), mcnemar(1, 5), 0);
  EXPECT_DOUBLE_EQ(mcnemar(4, 4), 1);
  EXPECT_NEAR(mcnemar(10, 25), 0.0166738478, 1e-9);  // sum of C(35, 0..10) over 2^34
}

struct PairsCase {
  double difference, discordant, pairs;
};
constexpr PairsCase kPairs[] = {
    {0.10, 0.20, 155}, {0.05, 0.10, 312}, {0.05, 0.20, 626}, {0.02, 0.06, 1175}};
TEST(Power, GivesThePairsOfTheTables) {
  for (const PairsCase& c : kPairs) {
    EXPECT_NEAR(needed_pairs(c.difference, c.discordant), c.pairs, 1) << c.difference;
    EXPECT_NEAR(power(c.pairs, c.difference, c.discordant), 0.80, 0.003);
    EXPECT_NEAR(*detectable_difference(c.pairs, c.discordant), c.difference, 0.0002);
  }
  EXPECT_FALSE(detectable_difference(3, 0.1));
}

TEST(DesignEffect, IsTheTurnsWhereSessionsAreAllOrNothing) {
  std::vector<SessionScores> sessions;
  for (int i = 0; i < 20; ++i) sessions.push_back(SessionScores(5, i % 2));
  EXPECT_NEAR(design_effect(sessions), 5 * 20.0 / 19, 1e-9);
  const Estimate e = mean_score(sessions);
  EXPECT_NEAR(e.interval.low, wilson(9.5, 19).low, 1e-9);  // 20 sessions, not 100 questions
}

TEST(DesignEffect, IsNeverLessThanOne) {
  const std::vector<SessionScores> even(10, SessionScores{0, 1});
  EXPECT_EQ(design_effect(even), 1);
}

TEST(Bootstrap, AgreesWithTheNormalIntervalOfAMean) {
  std::vector<double> means;
  for (int i = 0; i < 400; ++i) means.push_back(i % 4 == 0 ? 1.0 : 0.5);  // mean .625, sd .2165
  const Estimate e = bootstrap_mean(means);
  EXPECT_DOUBLE_EQ(e.value, 0.625);
  EXPECT_NEAR(e.interval.low, 0.625 - 1.96 * 0.2165 / 20, 0.003);
  EXPECT_NEAR(e.interval.high, 0.625 + 1.96 * 0.2165 / 20, 0.003);
  EXPECT_EQ(bootstrap_mean(means).interval.low, e.interval.low);  // the seed is fixed
}

std::vector<SessionScores> singles(int right, int all) {
  std::vector<SessionScores> out;
  for (int i = 0; i < all; ++i) out.push_back({i < right ? 1.0 : 0.0});
  return out;
}

TEST(Compare, SeesALossThatIsThere) {
  const Comparison c = compare(singles(90, 100), singles(70, 100));
  EXPECT_NEAR(c.difference.value, -0.2, 1e-12);
  EXPECT_EQ(c.first_better, 20u);
  EXPECT_EQ(c.second_better, 0u);
  EXPECT_NEAR(*c.p, 2.0 / (1 << 20), 1e-12);
  EXPECT_TRUE(c.seen());
  EXPECT_FALSE(c.not_worse_by(0.02));
  EXPECT_THAT(c.verdict(), HasSubstr("difference -20.0 points"));
}

TEST(Compare, SaysWhatItCouldHaveSeen) {
  const Comparison c = compare(singles(50, 100), singles(51, 100));
  EXPECT_FALSE(c.seen());
  // One discordant pair in a hundred: 7.8 points are the least that a hundred pairs show at all.
  ASSERT_TRUE(c.detectable);
  EXPECT_NEAR(needed_pairs(*c.detectable, *c.detectable), 100, 0.01);
  EXPECT_NEAR(*c.detectable, 0.0755, 0.003);
  EXPECT_THAT(c.verdict(), HasSubstr("80 % power begins at 7."));
  EXPECT_THAT(compare(singles(1, 2), singles(1, 2)).verdict(), HasSubstr("too few"));
}

TEST(Compare, JudgesSessionsOfSeveralTurnsByTheirSpread) {
  std::vector<SessionScores> a(25, SessionScores{1, 0}), b = a;
  for (int i = 0; i < 25; ++i)
    b[static_cast<size_t>(i)] = {i % 5 == 0 ? 0.0 : 1.0, i % 5 == 1 ? 1.0 : 0.0};
  const Comparison c = compare(a, b);
  EXPECT_FALSE(c.p);
  EXPECT_FALSE(c.seen());
  // Differences of -0.5 and 0.5 in five sessions each: standard deviation 0.3227, error 0.0645.
  EXPECT_NEAR(*c.detectable, 2.8016 * 0.3227 / 5, 0.001);
}

TEST(Compare, EqualRunsAreNotProofOfEquality) {
  const Comparison few = compare(singles(5, 10), singles(5, 10));
  EXPECT_FALSE(few.not_worse_by(0.02));
  const Comparison many = compare(singles(300, 600), singles(300, 600));
  EXPECT_TRUE(many.not_worse_by(0.02));
  const std::vector<SessionScores> one = {{1, 1, 1}}, other = {{0, 0, 0}};
  EXPECT_FALSE(compare(one, other).seen());  // one session says nothing
}

TEST(CompareStrata, AveragesTasksNotSessions) {
  // Task one: all sessions lose half; task two, with more sessions, loses nothing.
  const std::vector<std::vector<double>> strata = {std::vector<double>(10, -0.5),
                                                   std::vector<double>(40, 0.0)};
  const StratifiedComparison c = compare_strata(strata, 0.2);
  EXPECT_DOUBLE_EQ(c.difference.value, -0.25);
  EXPECT_EQ(c.sessions, 50u);
  // No spread within tasks: what Wilson allows for 0 of 50, one question of five each.
  const double least = 0.2 * wilson(0, 50).high;
  EXPECT_NEAR(least, 0.2 * 0.0714, 1e-4);
  EXPECT_NEAR(c.difference.interval.low, -0.25 - least, 1e-12);
  EXPECT_NEAR(c.difference.interval.high, -0.25 + least, 1e-12);
  // Signs of ten equal sessions: as far only where all flip the same way, 2 of 1024.
  EXPECT_NEAR(c.sign_flip, 2.0 / 1024, 0.003);
}

TEST(CompareStrata, SaysWhatEqualRunsCannotShow) {
  const std::vector<std::vector<double>> same = {std::vector<double>(30, 0.0)};
  const StratifiedComparison c = compare_strata(same, 1);
  EXPECT_EQ(c.difference.value, 0);
  EXPECT_EQ(c.sign_flip, 1);
  EXPECT_NEAR(c.difference.interval.high, 0.1135, 0.0001);  // Wilson's for 0 of 30: 3.84 / 33.84
  ASSERT_TRUE(c.detectable);
  const StratifiedComparison none = compare_strata({}, 1);
  EXPECT_EQ(none.sessions, 0u);
  EXPECT_EQ(none.difference.interval.low, -1);
}

TEST(CompareStrata, KnowsItsPower) {
  // +0.5 and -0.5 in turn: standard deviation 0.5130 over 20, error 0.1147, twice in the mean.
  std::vector<double> s;
  for (int i = 0; i < 20; ++i) s.push_back(i % 2 == 0 ? 0.5 : -0.5);
  const std::vector<std::vector<double>> strata = {s, s};
  const StratifiedComparison c = compare_strata(strata, 1);
  EXPECT_NEAR(*c.detectable, 2.8016 * 0.1147 * std::sqrt(2.0) / 2, 0.001);
  EXPECT_GT(c.sign_flip, 0.9);
}

TEST(Holm, StepsDown) {
  const double p[] = {0.04, 0.01, 0.03};
  EXPECT_THAT(holm(p), ElementsAre(testing::DoubleEq(0.06), testing::DoubleEq(0.03),
                                   testing::DoubleEq(0.06)));
}

TEST(Pareto, KeepsWhatNothingBeats) {
  const CostQuality points[] = {{1, 0.5}, {2, 0.9}, {2, 0.8}, {3, 0.9}, {4, 0.95}, {1, 0.5}};
  EXPECT_THAT(pareto(points), ElementsAre(true, true, false, false, true, true));
}

TEST(Dominates, AsksForACostOrAGain) {
  EXPECT_TRUE(dominates(97, 100, {-0.004, 0.01}));
  EXPECT_FALSE(dominates(97, 100, {-0.006, 0.01}));
  EXPECT_FALSE(dominates(100, 100, {-0.004, 0.01}));
  EXPECT_TRUE(dominates(101, 100, {0.001, 0.02}));
  EXPECT_FALSE(dominates(103, 100, {0.001, 0.02}));
}

}  // namespace
}  // namespace fathom::eval
