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
Line line_of(const std::map<size_t, double>& measured) {
  FATHOM_CHECK(!measured.empty());
  const auto& [x1, y1] = *measured.begin();
  const auto& [x2, y2] = *measured.rbegin();
  if (x1 == x2) return {0, y2 / double(x2)};
  if (y2 <= y1) return {y2, 0};
  const double slope = std::min((y2 - y1) / double(x2 - x1), y2 / double(x2));
  return {y2 - slope * double(x2), slope};
}

void keep_least(std::map<size_t, double>& measured, size_t length, double value) {
  const auto [it, is_new] = measured.emplace(length, value);
  if (!is_new) it->second = std::min(it->second, value);
}

void keep_least(std::optional<double>& least, double value) {
  least = least ? std::min(*least, value) : value;
}

}  // namespace

void CostModel::add_read(size_t tokens, const TimedPart& took) {
  keep_least(reads_, tokens, took.attention / double(tokens));
  keep_least(rest_of_token_, (took.seconds - took.attention) / double(tokens));
}

void CostModel::add_step(size_t depth, const TimedPart& took) {
  keep_least(steps_, depth, took.attention);
  keep_least(rest_of_step_, took.seconds - took.attention);
}

void CostModel::merge(const CostModel& other) {
  for (const auto& [n, value] : other.reads_) keep_least(reads_, n, value);
  for (const auto& [n, value] : other.steps_) keep_least(steps_, n, value);
  if (other.rest_of_token_) keep_least(rest_of_token_, *other.rest_of_token_);
  if (other.rest_of_step_) keep_least(rest_of_step_, *other.rest_of_step_);
}

double CostModel::read_seconds(size_t tokens) const {
  const double n = double(tokens);
  return n * (*rest_of_token_ + line_of(reads_).at(n));
}

double CostModel::step_seconds(size_t depth) const {
  return *rest_of_step_ + line_of(steps_).at(double(depth));
}

}  // namespace fathom::eval
