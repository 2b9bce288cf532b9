// What a candidate takes at a length that is too long to try: its matrices as they were measured on
// short texts, its attention as one layer takes it at that length, or, where that would take too
// long, at a shorter one, in proportion.
#pragma once

#include <optional>

#include "eval/layer_speed.h"
#include "eval/recommend_candidates.h"
#include "eval/recommend_trial.h"

namespace fathom::eval {

class FarSpeed {
 public:
  // `seconds`: what timing one candidate may take, about.
  FarSpeed(const engine::Engine& engine, size_t length, double seconds, const GoOn& go_on);

  // Tokens of the text that attention is timed on; at most the asked length.
  size_t timed_length() const { return timed_; }
  // Nothing where it was ended early.
  std::optional<LayerSpeed> time(const Candidate& candidate, const GoOn& go_on);

  // Seconds of reading the asked length, and of a step behind it. `rest`: of a token and of a step
  // without attention. `density`: share of the pairs that it computed in real text.
  double read_seconds(const Candidate& candidate, const LayerSpeed& speed, double rest,
                      double density) const;
  double step_seconds(const LayerSpeed& speed, double rest) const;

 private:
  LayerSpeed time_at(const Candidate& candidate, size_t length, const GoOn& go_on);
  // How much longer the asked text is.
  double factor() const { return double(length_) / double(timed_); }

  const engine::Engine& engine_;
  size_t length_, timed_;
  LayerTimer timer_;
};

}  // namespace fathom::eval
