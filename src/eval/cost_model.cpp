#include "eval/cost_model.h"

#include <algorithm>

#include "base/error.h"

namespace fathom::eval {
namespace {

struct Line {
  double at_zero, slope;
  double at(double x) const { return at_zero + slope * x; }
};

// Through the shortest and the longest length; neither part is below zero.
template <class Value>
Line line_of(const std::map<size_t, double>& measured, Value value) {
  FATHOM_CHECK(!measured.empty());
  const auto& [x1, t1] = *measured.begin();
  const auto& [x2, t2] = *measured.rbegin();
  const double y1 = value(double(x1), t1), y2 = value(double(x2), t2);
  if (x1 == x2 || y2 <= y1) return {y2, 0};
  const double slope = std::min((y2 - y1) / double(x2 - x1), y2 / double(x2));
  return {y2 - slope * double(x2), slope};
}

// The same value at the longest length, with a slope of at most twice the other's.
Line limited(const Line& line, const std::map<size_t, double>& measured, const Line& dense) {
  const double longest = double(measured.rbegin()->first);
  const double slope = std::min(line.slope, 2 * dense.slope);
  return {line.at(longest) - slope * longest, slope};
}

void keep_least(std::map<size_t, double>& measured, size_t length, double seconds) {
  const auto [it, is_new] = measured.emplace(length, seconds);
  if (!is_new) it->second = std::min(it->second, seconds);
}

}  // namespace

void CostModel::add_read(size_t tokens, double seconds) { keep_least(reads_, tokens, seconds); }
void CostModel::add_step(size_t depth, double seconds) { keep_least(steps_, depth, seconds); }

void CostModel::merge(const CostModel& other) {
  for (const auto& [n, seconds] : other.reads_) add_read(n, seconds);
  for (const auto& [n, seconds] : other.steps_) add_step(n, seconds);
}

double CostModel::read_seconds(size_t tokens, const CostModel& dense) const {
  const auto per_token = [](double n, double seconds) { return seconds / n; };
  const Line line = line_of(reads_, per_token);
  return double(tokens) *
         limited(line, reads_, line_of(dense.reads_, per_token)).at(double(tokens));
}

double CostModel::step_seconds(size_t depth, const CostModel& dense) const {
  const auto as_is = [](double, double seconds) { return seconds; };
  const Line line = line_of(steps_, as_is);
  return limited(line, steps_, line_of(dense.steps_, as_is)).at(double(depth));
}

}  // namespace fathom::eval
