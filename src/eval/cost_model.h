// What reading and writing cost at lengths that are too long to measure.
//
// Reading n tokens takes a n + b n^2 seconds: matrices for every token, attention for every pair.
// A step behind n tokens takes c + d n. Both hold for policies whose budgets are shares of the
// length, as long as the share of pairs that they read does not change with it. Measured at two
// lengths; noise only ever adds time, so the least of several measurements counts, and b and d are
// at most twice those of dense attention: no method that reads less takes longer for a pair than
// that.
#pragma once

#include <cstddef>
#include <map>

namespace fathom::eval {

class CostModel {
 public:
  void add_read(size_t tokens, double seconds);
  void add_step(size_t depth, double seconds);
  void merge(const CostModel& other);

  // REQUIRES: something was added of each kind, to `dense` too.
  double read_seconds(size_t tokens, const CostModel& dense) const;
  double step_seconds(size_t depth, const CostModel& dense) const;
  double read_seconds(size_t tokens) const { return read_seconds(tokens, *this); }
  double step_seconds(size_t depth) const { return step_seconds(depth, *this); }

 private:
  std::map<size_t, double> reads_, steps_;  // by length
};

}  // namespace fathom::eval
