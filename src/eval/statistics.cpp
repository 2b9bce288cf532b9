#include "eval/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "eval/random.h"

namespace fathom::eval {
namespace {

constexpr double kZ = 1.959963984540054;      // 97.5 % of the normal distribution
constexpr double kZPower = 0.84162123357291;  // 80 %

double mean_of(std::span<const double> values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

bool binary(std::span<const SessionScores> sessions) {
  for (const SessionScores& s : sessions) {
    if (!std::all_of(s.begin(), s.end(), [](double x) { return x == 0 || x == 1; })) return false;
  }
  return true;
}

struct Totals {
  double sum = 0;
  size_t questions = 0;
};
Totals totals(std::span<const SessionScores> sessions) {
  Totals t;
  for (const SessionScores& s : sessions) {
    t.sum += std::accumulate(s.begin(), s.end(), 0.0);
    t.questions += s.size();
  }
  return t;
}

std::vector<double> means(std::span<const SessionScores> sessions) {
  std::vector<double> out;
  for (const SessionScores& s : sessions) {
    if (!s.empty()) out.push_back(mean_of(s));
  }
  return out;
}

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

}  // namespace

double quantile(std::span<const double> sorted, double q) {
  const double at = q * double(sorted.size() - 1);
  const size_t low = std::min(static_cast<size_t>(at), sorted.size() - 1);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - double(low)) * (sorted[high] - sorted[low]);
}

Interval wilson(double successes, double trials) {
  if (trials <= 0) return {0, 1};
  const double share = successes / trials, z2 = kZ * kZ;
  const double centre = (share + z2 / (2 * trials)) / (1 + z2 / trials);
  const double variance = share * (1 - share) / trials + z2 / (4 * trials * trials);
  const double half = kZ * std::sqrt(std::max(0.0, variance)) / (1 + z2 / trials);
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

double design_effect(std::span<const SessionScores> sessions) {
  const Totals t = totals(sessions);
  const std::vector<double> m = means(sessions);
  if (m.size() < 2) return 1;
  const double share = t.sum / double(t.questions), average = mean_of(m);
  if (share <= 0 || share >= 1) return 1;
  double variance = 0;
  for (const double x : m) variance += (x - average) * (x - average);
  variance /= double(m.size() - 1);
  const double turns = double(t.questions) / double(m.size());
  return std::max(1.0, variance * turns / (share * (1 - share)));
}

Estimate bootstrap_mean(std::span<const double> session_means, const Bootstrap& how) {
  Estimate out;
  out.value = mean_of(session_means);
  out.interval = {out.value, out.value};
  if (session_means.size() < 2) return out;
  Random random(how.seed);
  std::vector<double> resampled(how.resamples);
  for (double& r : resampled) {
    double sum = 0;
    for (size_t i = 0; i < session_means.size(); ++i) {
      sum += session_means[random.below(session_means.size())];
    }
    r = sum / double(session_means.size());
  }
  std::sort(resampled.begin(), resampled.end());
  out.interval = {quantile(resampled, 0.025), quantile(resampled, 0.975)};
  return out;
}

Estimate mean_score(std::span<const SessionScores> sessions) {
  const Totals t = totals(sessions);
  if (t.questions == 0) return {0, {0, 1}};
  const double mean = t.sum / double(t.questions);
  if (!binary(sessions)) {
    const std::vector<double> m = means(sessions);
    return {mean, m.size() < 2 ? Interval{0, 1} : bootstrap_mean(m).interval};
  }
  const double trials = double(t.questions) / design_effect(sessions);
  return {mean, wilson(mean * trials, trials)};
}

double mcnemar(size_t only_first, size_t only_second) {
  const size_t n = only_first + only_second, fewer = std::min(only_first, only_second);
  if (n == 0) return 1;
  const double trials = double(n);
  double p = 0;
  for (size_t i = 0; i <= fewer; ++i) {
    const double x = double(i);
    p += std::exp(std::lgamma(trials + 1) - std::lgamma(x + 1) - std::lgamma(trials - x + 1) -
                  trials * std::log(2.0));
  }
  return std::min(1.0, 2 * p);
}

double needed_pairs(double difference, double discordant) {
  const double d2 = difference * difference;
  const double root = kZ * std::sqrt(discordant) + kZPower * std::sqrt(discordant - d2);
  return root * root / d2;
}

std::optional<double> detectable_difference(double pairs, double discordant) {
  // A difference is at most the discordant share; more pairs show less.
  if (discordant <= 0 || needed_pairs(discordant, discordant) > pairs) return std::nullopt;
  double low = 0, high = discordant;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (middle > 0 && needed_pairs(middle, discordant) <= pairs ? high : low) = middle;
  }
  return high;
}

double power(double pairs, double difference, double discordant) {
  const double d = std::abs(difference), variance = discordant - d * d;
  if (d == 0) return 0.05;
  if (variance <= 0) return pairs * d * d > kZ * kZ * discordant ? 1 : 0;
  return normal_cdf((d * std::sqrt(pairs) - kZ * std::sqrt(discordant)) / std::sqrt(variance));
}

bool Comparison::seen() const {
  if (p) return *p < 0.05;
  return difference.interval.low > 0 || difference.interval.high < 0;
}

std::string Comparison::verdict() const {
  const double low = 100 * difference.interval.low, high = 100 * difference.interval.high;
  const std::string where =
      fmt::format("{:+.1f} points [{:+.1f}, {:+.1f}]", 100 * difference.value, low, high);
  const std::string over = fmt::format("{} questions in {} sessions", pairs, sessions);
  if (seen()) return fmt::format("difference {} over {}", where, over);
  if (detectable) {
    return fmt::format(
        "no difference seen ({}) over {}; with this many, 80 % power begins at {:.1f} points",
        where, over, 100 * *detectable);
  }
  return fmt::format("no difference seen ({}) over {}: too few to see any at 80 % power", where,
                     over);
}

namespace {

// Where nothing differs, or there is one session, resampling would promise certainty.
Estimate difference_of(std::span<const double> differences, const Bootstrap& how) {
  Estimate out = bootstrap_mean(differences, how);
  if (differences.size() < 2) out.interval = {-1, 1};
  if (std::all_of(differences.begin(), differences.end(), [](double d) { return d == 0; })) {
    const double most = wilson(0, double(differences.size())).high;
    out.interval = {-most, most};
  }
  return out;
}

// The least difference that so many pairs show where nothing speaks against it.
std::optional<double> least_detectable(double pairs) {
  if (needed_pairs(1, 1) > pairs) return std::nullopt;
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (needed_pairs(middle, middle) <= pairs ? high : low) = middle;
  }
  return high;
}

double standard_error(std::span<const double> values) {
  const double mean = mean_of(values), n = double(values.size());
  double sum = 0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return n > 1 ? std::sqrt(sum / (n - 1) / n) : 0;
}

// By McNemar's test for single questions, else by the spread of the sessions' differences; with no
// difference anywhere, what sessions that differ by all or nothing would have shown.
std::optional<double> detectable_by(const Comparison& c, std::span<const double> differences) {
  const std::optional<double> least = least_detectable(double(c.sessions));
  if (c.p) {
    const double share = double(c.first_better + c.second_better) / double(c.pairs);
    const std::optional<double> seen = detectable_difference(double(c.pairs), share);
    return seen ? seen : least;
  }
  const double error = standard_error(differences);
  return error > 0 ? std::optional((kZ + kZPower) * error) : least;
}

}  // namespace

Comparison compare(std::span<const SessionScores> first, std::span<const SessionScores> second,
                   const Bootstrap& how) {
  FATHOM_CHECK(first.size() == second.size());
  Comparison c;
  std::vector<double> differences;
  bool single = true;
  for (size_t i = 0; i < first.size(); ++i) {
    FATHOM_CHECK(first[i].size() == second[i].size());
    if (first[i].empty()) continue;
    for (size_t t = 0; t < first[i].size(); ++t) {
      c.first_better += first[i][t] > second[i][t];
      c.second_better += first[i][t] < second[i][t];
    }
    c.pairs += first[i].size();
    single = single && first[i].size() == 1;
    differences.push_back(mean_of(second[i]) - mean_of(first[i]));
  }
  c.sessions = differences.size();
  c.difference = difference_of(differences, how);
  if (single && binary(first) && binary(second)) c.p = mcnemar(c.first_better, c.second_better);
  c.detectable = detectable_by(c, differences);
  return c;
}

namespace {

// One value of the statistic: tasks' means averaged, of sessions as `pick` gives them.
template <class Pick>
double mean_of_strata(std::span<const std::vector<double>> strata, Pick pick) {
  double sum = 0;
  for (const std::vector<double>& s : strata) {
    double total = 0;
    for (size_t i = 0; i < s.size(); ++i) total += pick(s, i);
    sum += total / double(s.size());
  }
  return sum / double(strata.size());
}

double sign_flip_p(std::span<const std::vector<double>> strata, double seen, const Bootstrap& how) {
  Random random(how.seed);
  size_t as_far = 1;  // the one that was seen
  for (size_t i = 0; i < how.resamples; ++i) {
    const double flipped = mean_of_strata(strata, [&](const std::vector<double>& s, size_t at) {
      return (random.next() >> 63) != 0 ? s[at] : -s[at];
    });
    as_far += std::abs(flipped) >= std::abs(seen) - 1e-12;
  }
  return double(as_far) / double(how.resamples + 1);
}

}  // namespace

StratifiedComparison compare_strata(std::span<const std::vector<double>> all, double quantum,
                                    const Bootstrap& how) {
  std::vector<std::vector<double>> strata;
  StratifiedComparison out;
  bool same = true;
  double variance = 0;
  for (const std::vector<double>& s : all) {
    if (s.empty()) continue;
    strata.push_back(s);
    out.sessions += s.size();
    same = same && std::all_of(s.begin(), s.end(), [](double d) { return d == 0; });
    const double error = standard_error(s);
    variance += error * error;
  }
  if (strata.empty()) return {{0, {-1, 1}}, 1, 0, std::nullopt};
  out.difference.value =
      mean_of_strata(strata, [](const std::vector<double>& s, size_t i) { return s[i]; });
  const double value = out.difference.value;
  const double least = out.sessions < 2 ? 1 : quantum * wilson(0, double(out.sessions)).high;
  out.difference.interval = {value - least, value + least};
  if (same || out.sessions < 2) {
    out.detectable = least_detectable(double(out.sessions));
    return out;
  }
  Random random(how.seed);
  std::vector<double> resampled(how.resamples);
  for (double& r : resampled) {
    r = mean_of_strata(
        strata, [&](const std::vector<double>& s, size_t) { return s[random.below(s.size())]; });
  }
  std::sort(resampled.begin(), resampled.end());
  out.difference.interval = {std::min(value - least, quantile(resampled, 0.025)),
                             std::max(value + least, quantile(resampled, 0.975))};
  out.sign_flip = sign_flip_p(strata, out.difference.value, how);
  out.detectable = (kZ + kZPower) * std::sqrt(variance) / double(strata.size());
  return out;
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
  std::vector<double> out(p.size());
  double running = 0;
  for (size_t k = 0; k < order.size(); ++k) {
    running = std::max(running, std::min(1.0, double(p.size() - k) * p[order[k]]));
    out[order[k]] = running;
  }
  return out;
}

bool dominates(double cost_a, double cost_b, const Interval& quality) {
  return (cost_a <= 0.98 * cost_b && quality.low > -0.005) ||
         (cost_a <= 1.02 * cost_b && quality.low > 0);
}

std::vector<bool> pareto(std::span<const CostQuality> points) {
  std::vector<bool> out(points.size(), true);
  for (size_t i = 0; i < points.size(); ++i) {
    for (const CostQuality& other : points) {
      const bool as_good = other.cost <= points[i].cost && other.quality >= points[i].quality;
      const bool better = other.cost < points[i].cost || other.quality > points[i].quality;
      if (as_good && better) out[i] = false;
    }
  }
  return out;
}

}  // namespace fathom::eval
