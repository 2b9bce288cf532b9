// Policies against the first, and against each other: differences, tests, frontiers.
#include <algorithm>
#include <map>

#include "base/error.h"
#include "eval/report.h"

namespace fathom::eval {
namespace {

// Sessions' differences b - a by cell, on the sessions that both answered.
struct Pairs {
  std::vector<std::vector<double>> strata;
  size_t first_better = 0, second_better = 0;  // single questions scored 0 or 1
  bool single = true;
  double questions = 0, sessions = 0;

  // What one question changes in a session, in the mean.
  double quantum() const { return sessions > 0 ? sessions / questions : 1; }
};

double mean_of(const SessionScores& s) {
  double sum = 0;
  for (const double x : s) sum += x;
  return sum / double(s.size());
}

Pairs pair_up(const PolicyReport& a, const PolicyReport& b) {
  Pairs out;
  for (const Cell& cell : b.cells) {
    const Cell* other = find_cell(a, cell);
    if (!other || cell.measure == Measure::kNone) continue;
    std::map<std::string_view, const ScoredSession*> known;
    for (const ScoredSession& s : other->judged()) known[s.id] = &s;
    std::vector<double>& differences = out.strata.emplace_back();
    for (const ScoredSession& s : cell.judged()) {
      const auto it = known.find(s.id);
      if (it == known.end() || it->second->scores.size() != s.scores.size()) continue;
      out.questions += double(s.scores.size());
      out.sessions += 1;
      const SessionScores &x = it->second->scores, &y = s.scores;
      differences.push_back(mean_of(y) - mean_of(x));
      out.single =
          out.single && y.size() == 1 && (x[0] == 0 || x[0] == 1) && (y[0] == 0 || y[0] == 1);
      out.first_better += x[0] > y[0];
      out.second_better += x[0] < y[0];
    }
  }
  std::erase_if(out.strata, [](const auto& s) { return s.empty(); });
  return out;
}

std::string verdict_of(const AgainstFirst& a, double margin) {
  const Estimate& e = a.difference.difference;
  std::string out = fmt::format("{:+.1f} points [{:+.1f}, {:+.1f}] over {} sessions", 100 * e.value,
                                100 * e.interval.low, 100 * e.interval.high, a.difference.sessions);
  if (a.difference.sessions == 0) return "nothing to compare: no task passed the gate";
  if (a.holm < 0.05) return "difference " + out + fmt::format(", p {:.2g} (Holm)", a.holm);
  if (a.p < 0.05) {
    return out +
           fmt::format(", p {:.2g}, but {:.2g} corrected for the number of policies", a.p, a.holm);
  }
  out = "no difference seen (" + out + ")";
  if (a.not_worse) return out + fmt::format("; not worse by {:.0f} points", 100 * margin);
  if (!a.difference.detectable) return out + ": too few to see any at 80 % power";
  return out + fmt::format("; with this many, 80 % power begins at {:.1f} points",
                           100 * *a.difference.detectable);
}

AgainstFirst against_first(const PolicyReport& first, const PolicyReport& policy, double margin) {
  const Pairs pairs = pair_up(first, policy);
  AgainstFirst out;
  out.difference = compare_strata(pairs.strata, pairs.quantum());
  out.p = out.difference.sign_flip;
  if (pairs.single && pairs.strata.size() == 1) {
    out.mcnemar = mcnemar(pairs.first_better, pairs.second_better);
    out.p = *out.mcnemar;
  }
  out.not_worse = out.difference.sessions > 0 && out.difference.difference.interval.low > -margin;
  return out;
}

void correct(Report& report) {
  std::vector<double> p;
  for (const PolicyReport& r : report.policies) {
    if (r.against_first) p.push_back(r.against_first->p);
  }
  const std::vector<double> corrected = holm(p);
  size_t i = 0;
  for (PolicyReport& r : report.policies) {
    if (!r.against_first) continue;
    r.against_first->holm = corrected[i++];
    r.against_first->verdict = verdict_of(*r.against_first, report.margin);
  }
}

using CostOf = double (*)(const CostSummary&);

Frontier frontier(const Report& report, const std::vector<std::vector<Interval>>& quality,
                  const char* axis, CostOf cost) {
  using Place = Frontier::Place;
  const auto& all = report.policies;
  Frontier out;
  out.axis = axis;
  out.places.assign(all.size(), Place::kUnknown);
  out.by.resize(all.size());
  std::vector<CostQuality> points;
  std::vector<size_t> known;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!all[i].measured || all[i].counted == 0 || all[i].mode != all[0].mode) continue;
    if (is_control(all[i].policy)) continue;  // they know too much
    known.push_back(i);
    points.push_back({cost(*all[i].measured), all[i].mean.value});
  }
  const std::vector<bool> plain = pareto(points);
  for (size_t k = 0; k < known.size(); ++k) {
    const size_t b = known[k];
    out.places[b] = plain[k] ? Place::kOn : Place::kNotDistinguishable;
    for (size_t j = 0; j < known.size(); ++j) {
      const size_t a = known[j];
      if (a == b || !dominates(points[j].cost, points[k].cost, quality[a][b])) continue;
      // Of two that dominate each other, as equals within the margins do, the first stays.
      if (a > b && dominates(points[k].cost, points[j].cost, quality[b][a])) continue;
      out.places[b] = Place::kDominated;
      if (!out.by[b] || points[j].quality > all[*out.by[b]].mean.value) out.by[b] = a;
    }
  }
  return out;
}

void add_frontiers(Report& report) {
  const auto& all = report.policies;
  if (std::none_of(all.begin(), all.end(), [](const auto& p) { return p.measured.has_value(); })) {
    return;
  }
  // quality[a][b]: of a's score minus b's.
  std::vector<std::vector<Interval>> quality(all.size(), std::vector<Interval>(all.size()));
  for (size_t a = 0; a < all.size(); ++a) {
    for (size_t b = a + 1; b < all.size(); ++b) {
      const Pairs pairs = pair_up(all[b], all[a]);
      const Interval i = compare_strata(pairs.strata, pairs.quantum()).difference.interval;
      quality[a][b] = i;
      quality[b][a] = {-i.high, -i.low};
    }
  }
  report.frontiers = {
      frontier(report, quality, "kv_bytes", [](const CostSummary& c) { return c.kv_bytes; }),
      frontier(report, quality, "first_token_seconds",
               [](const CostSummary& c) { return c.first_token_seconds; }),
      frontier(report, quality, "step_seconds",
               [](const CostSummary& c) { return c.step_seconds; })};
}

}  // namespace

void compare_policies(Report& report) {
  for (size_t i = 1; i < report.policies.size(); ++i) {
    PolicyReport& p = report.policies[i];
    p.against_first = against_first(report.policies[0], p, report.margin);
  }
  correct(report);
  add_frontiers(report);
}

}  // namespace fathom::eval
