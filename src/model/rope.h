// Rotary position embedding: the angles of a batch of positions.
//
// Frequencies are base^(-2i/n), divided by the model's factors, and stretched by linear scaling or
// YaRN (arXiv:2309.00071). Angles are computed in double, so a position of 10^6 is as exact as 1.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "model/config.h"

namespace fathom::model {

class Rope {
 public:
  // `context`: tokens that a sequence may reach, which chooses long-rope factors once and for all.
  Rope(const RopeConfig& config, size_t context);

  size_t pairs() const { return frequencies_.size(); }
  double magnitude() const { return magnitude_; }
  std::span<const double> frequencies() const { return frequencies_; }

  // cos and sin of one position, [pairs()] each.
  void angles(int32_t position, float* cos, float* sin) const;

 private:
  std::vector<double> frequencies_;  // radians a position
  double magnitude_ = 1.0;
};

}  // namespace fathom::model
