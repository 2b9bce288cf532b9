// What reading and writing cost, attention apart from the rest.
//
// Reading n tokens takes a n seconds for the rest and b n + c n^2 for attention; a step behind n
// tokens r for the rest and s + t n for attention. Through the shortest and the longest length that
// were measured; with one of them alone, all of attention grows. Noise only ever adds time, so the
// least of several measurements counts.
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

  // REQUIRES: something was added of each kind.
  double read_seconds(size_t tokens) const;
  double step_seconds(size_t depth) const;
  double rest_of_token() const { return *rest_of_token_; }
  double rest_of_step() const { return *rest_of_step_; }

 private:
  using ByLength = std::map<size_t, double>;
  std::optional<double> rest_of_token_, rest_of_step_;
  ByLength reads_;  // attention's seconds a token
  ByLength steps_;  // attention's seconds
};

}  // namespace fathom::eval
