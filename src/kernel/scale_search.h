// Finding the scale (and minimum) with which a few values lose least when rounded to small
// integers. Used by the encoders of block_formats.h; not an interface for others.
//
// The results depend on neither compiler nor processor. Groups are a multiple of four values.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

namespace fathom::kernel {

// The integer nearest to v, ties to even. REQUIRES: |v| < 2^22.
inline float rounded(float v) { return (v + 12582912.0f) - 12582912.0f; }

// v cut to [low, high] and rounded; NaN gives `high`.
inline int nearest_code(float v, int low, int high) {
  const float lower = static_cast<float>(low), upper = static_cast<float>(high);
  v = v < upper ? v : upper;
  v = v > lower ? v : lower;
  return static_cast<int>(rounded(v));
}

// 1 / v, or 0 where that is not finite.
inline float inverse_or_zero(float v) {
  const float inverse = 1.0f / v;
  return inverse - inverse == 0.0f ? inverse : 0.0f;
}

// The value farthest from zero, with its sign; the first of equals.
float signed_peak(std::span<const float> x);

// x is about scale * q - minimum with codes q in [0, top].
struct AffineFit {
  float scale = 0;
  float minimum = 0;  // never negative
};
struct AffineSearch {
  int top = 15;      // largest code
  float first = -1;  // the range is tried as top + first, top + first + 0.1, ... codes wide
  int tries = 21;
};
// Least weighted squared error over the tries; each is refined by weighted least squares.
AffineFit fit_affine(std::span<const float> x, std::span<const float> weights,
                     const AffineSearch& search);

// The scale for which codes q in [-top, top - 1] explain most of x: the largest
// (sum w x q)^2 / (sum w q^2) with w = x^2, over 19 widths around top. The peak of x maps to about
// -top, so the scale may be negative.
float fit_symmetric(std::span<const float> x, int top);

}  // namespace fathom::kernel
