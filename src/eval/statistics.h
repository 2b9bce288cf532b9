// What a table of scores allows to be said.
//
// The session (one context with its questions) is the sampling unit: questions over one context
// are not independent trials. Policies are always compared on the same questions, in pairs.
// All functions are pure; the bootstrap's seed is fixed unless given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace fathom::eval {

struct Interval {
  double low = 0, high = 0;
};

struct Estimate {
  double value = 0;
  Interval interval;  // 95 %
};

// Scores of one session, one a turn, each in [0, 1].
using SessionScores = std::vector<double>;

// Wilson's 95 % interval of a share. `trials` may be fractional: an effective number. [0, 1] for
// no trials.
Interval wilson(double successes, double trials);

// Variance of the sessions' means over what independent questions would give (Kish), at least 1.
// REQUIRES: scores are 0 or 1.
double design_effect(std::span<const SessionScores> sessions);

// Between two values linearly. REQUIRES: sorted, not empty; q in [0, 1].
double quantile(std::span<const double> sorted, double q);

struct Bootstrap {
  size_t resamples = 2000;
  uint64_t seed = 20240917;
};
// Percentile interval of the mean of sessions' means, sessions resampled.
Estimate bootstrap_mean(std::span<const double> session_means, const Bootstrap& how = {});

// The mean over all questions with Wilson's interval on the effective number of questions where all
// scores are 0 or 1, else with the bootstrap over sessions.
Estimate mean_score(std::span<const SessionScores> sessions);

// Exact McNemar test: two-sided p of `only_first` and `only_second` discordant pairs under
// binomial(n, 1/2).
double mcnemar(size_t only_first, size_t only_second);

// Pairs needed to see a difference of `difference` where a share `discordant` of the pairs differs,
// with 80 % power at the 5 % level (Miettinen 1968).
double needed_pairs(double difference, double discordant);
// The smallest such difference that `pairs` pairs show; nullopt where no difference would do.
std::optional<double> detectable_difference(double pairs, double discordant);
// The probability that `pairs` pairs show the difference at the 5 % level.
double power(double pairs, double difference, double discordant);

// Two runs over the same questions.
struct Comparison {
  Estimate difference;      // second - first, 95 % interval over sessions
  std::optional<double> p;  // McNemar's; only where all scores are 0 or 1 and turns are single
  size_t pairs = 0, sessions = 0;
  size_t first_better = 0, second_better = 0;  // questions
  std::optional<double> detectable;            // at 80 % power
  bool seen() const;                           // p < 0.05, or without p: the interval excludes 0
  bool not_worse_by(double margin) const { return difference.interval.low > -margin; }
  // One sentence for people; says what could have been seen where nothing was.
  std::string verdict() const;
};
// REQUIRES: both hold the same sessions, each with the same number of turns.
Comparison compare(std::span<const SessionScores> first, std::span<const SessionScores> second,
                   const Bootstrap& how = {});

// Two runs over several tasks that count alike: strata[task] holds the differences second - first
// of its sessions' means. Sessions are resampled within their task, then tasks averaged;
// `sign_flip` is the two-sided p of a permutation test that swaps the runs session by session.
// Where nothing differs the interval is Wilson's for no success among so many sessions.
struct StratifiedComparison {
  Estimate difference;
  double sign_flip = 1;
  size_t sessions = 0;
  std::optional<double> detectable;  // at 80 % power, 5 % level
};
StratifiedComparison compare_strata(std::span<const std::vector<double>> strata, double quantum = 1,
                                    const Bootstrap& how = {});

// Holm's step-down correction: adjusted p in the order given.
std::vector<double> holm(std::span<const double> p);

// Whether A dominates B: costs at most 98 % and is not 0.5 points worse, or costs at most 102 % and
// is better. `quality` is the 95 % interval of A's score minus B's, in [-1, 1].
bool dominates(double cost_a, double cost_b, const Interval& quality);

struct CostQuality {
  double cost = 0, quality = 0;
};
// For each point whether none is at most as costly and at least as good, and better in one.
std::vector<bool> pareto(std::span<const CostQuality> points);

}  // namespace fathom::eval
