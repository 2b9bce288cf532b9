// Rotating single vectors, for policies that place keys or queries at other positions.
#pragma once

#include <vector>

#include "kv/view.h"

namespace fathom::kv {

// cos and sin of every pair's angle at one position, times the magnitude; angles in double.
class Rotation {
 public:
  Rotation(const RopeView& rope, double position);
  // The mean of the rotations at positions [first, first + count).
  Rotation(const RopeView& rope, size_t first, size_t count);

  // What undoes the rotation at a position, magnitude included.
  static Rotation inverse(const RopeView& rope, double position);

  // out = x rotated, [head_dim]; channels beyond the rotated ones are copied. In place is allowed.
  void apply(const float* x, size_t head_dim, float* out) const;
  // The same for a vector of doubles, `stride` apart.
  void apply(double* x, size_t stride) const;

 private:
  explicit Rotation(kernel::RopeStyle style) : style_(style) {}
  std::vector<double> cos_, sin_;
  kernel::RopeStyle style_;
};

}  // namespace fathom::kv
