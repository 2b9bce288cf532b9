// What reading and writing cost at lengths that are too long to measure.
//
// Attention is timed apart from the rest. Reading n tokens takes a n seconds for the rest and
// b n + c n^2 for attention; a step behind n tokens r for the rest and s + t n for attention. That
// holds for policies whose budgets are shares of the length, as long as the share of pairs that
// they read does not change with it; what KEEP does beside attention counts as rest. Measured at
// two lengths; noise only ever adds time, so the least of several measurements counts, and c and t
// are at most twice those of dense attention: no method that reads less takes longer for a pair
// than that.
#pragma once

#include <cstddef>
#include <map>
#include <optional>

namespace fathom::eval {

struct TimedPart {
  double seconds = 0;    // all of it
  double attention = 0;  // seconds of these
};

class CostModel {
 public:
  void add_read(size_t tokens, const TimedPart& took);
  void add_step(size_t depth, const TimedPart& took);
  void merge(const CostModel& other);

  // REQUIRES: something was added of each kind, to `dense` too.
  double read_seconds(size_t tokens, const CostModel& dense) const;
  double step_seconds(size_t depth, const CostModel& dense) const;
  double read_seconds(size_t tokens) const { return read_seconds(tokens, *this); }
  double step_seconds(size_t depth) const { return step_seconds(depth, *this); }

 private:
  using ByLength = std::map<size_t, double>;
  std::optional<double> rest_of_token_, rest_of_step_;
  ByLength reads_;  // attention's seconds a token
  ByLength steps_;  // attention's seconds
};

}  // namespace fathom::eval
