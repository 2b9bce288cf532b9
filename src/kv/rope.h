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

// Undoes rotations at many positions: angles are put together from two tables, of the position
// within 64 and of the 64s before it, in double.
class InverseRotations {
 public:
  explicit InverseRotations(const RopeView& rope);
  // Makes room for positions below this. Not while apply() runs.
  void reach(size_t positions);
  // out = x as it was before its rotation at `position`.
  void apply(size_t position, const float* x, size_t head_dim, float* out) const;

 private:
  struct Turn {
    double cos, sin;
  };
  std::vector<double> frequencies_;
  double magnitude_;
  kernel::RopeStyle style_;
  std::vector<Turn> within_, before_;  // [64 or positions / 64][pairs]
};

}  // namespace fathom::kv
