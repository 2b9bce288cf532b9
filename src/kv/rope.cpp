#include "kv/rope.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace fathom::kv {
namespace {

constexpr size_t kNear = 64;

struct Pair {
  size_t a, b;  // channels
};
Pair pair_of(kernel::RopeStyle style, size_t i, size_t pairs) {
  return style == kernel::RopeStyle::kAdjacent ? Pair{2 * i, 2 * i + 1} : Pair{i, i + pairs};
}

}  // namespace

Rotation::Rotation(const RopeView& rope, double position) : style_(rope.style) {
  for (const double f : rope.frequencies) {
    cos_.push_back(std::cos(position * f) * rope.magnitude);
    sin_.push_back(std::sin(position * f) * rope.magnitude);
  }
}

Rotation::Rotation(const RopeView& rope, size_t first, size_t count) : style_(rope.style) {
  for (const double f : rope.frequencies) {
    double c = 0, s = 0;
    for (size_t i = 0; i < count; ++i) {
      c += std::cos(static_cast<double>(first + i) * f);
      s += std::sin(static_cast<double>(first + i) * f);
    }
    cos_.push_back(c / static_cast<double>(count) * rope.magnitude);
    sin_.push_back(s / static_cast<double>(count) * rope.magnitude);
  }
}

Rotation Rotation::inverse(const RopeView& rope, double position) {
  Rotation back(rope.style);
  for (const double f : rope.frequencies) {
    back.cos_.push_back(std::cos(position * f) / rope.magnitude);
    back.sin_.push_back(-std::sin(position * f) / rope.magnitude);
  }
  return back;
}

void Rotation::apply(const float* x, size_t head_dim, float* out) const {
  if (out != x) std::memcpy(out, x, head_dim * sizeof(float));
  for (size_t i = 0; i < cos_.size(); ++i) {
    const Pair p = pair_of(style_, i, cos_.size());
    const double a = out[p.a], b = out[p.b];
    out[p.a] = static_cast<float>(a * cos_[i] - b * sin_[i]);
    out[p.b] = static_cast<float>(a * sin_[i] + b * cos_[i]);
  }
}

InverseRotations::InverseRotations(const RopeView& rope)
    : frequencies_(rope.frequencies.begin(), rope.frequencies.end()),
      magnitude_(rope.magnitude),
      style_(rope.style) {
  for (size_t i = 0; i < kNear; ++i) {
    for (const double f : frequencies_) {
      const double angle = static_cast<double>(i) * f;
      within_.push_back({std::cos(angle) / magnitude_, std::sin(angle) / magnitude_});
    }
  }
}

void InverseRotations::reach(size_t positions) {
  const size_t pairs = frequencies_.size();
  for (size_t i = before_.size() / std::max<size_t>(pairs, 1); i * kNear < positions; ++i) {
    if (pairs == 0) return;
    for (const double f : frequencies_) {
      const double angle = static_cast<double>(i * kNear) * f;
      before_.push_back({std::cos(angle), std::sin(angle)});
    }
  }
}

void InverseRotations::apply(size_t position, const float* x, size_t head_dim, float* out) const {
  const size_t pairs = frequencies_.size();
  if (out != x) std::memcpy(out, x, head_dim * sizeof(float));
  const Turn* near = within_.data() + position % kNear * pairs;
  const Turn* far = before_.data() + position / kNear * pairs;
  for (size_t i = 0; i < pairs; ++i) {
    const Pair p = pair_of(style_, i, pairs);
    const double c = far[i].cos * near[i].cos - far[i].sin * near[i].sin;
    const double s = far[i].sin * near[i].cos + far[i].cos * near[i].sin;
    const double a = x[p.a], b = x[p.b];
    out[p.a] = static_cast<float>(a * c + b * s);
    out[p.b] = static_cast<float>(b * c - a * s);
  }
}

void Rotation::apply(double* x, size_t stride) const {
  for (size_t i = 0; i < cos_.size(); ++i) {
    const Pair p = pair_of(style_, i, cos_.size());
    const double a = x[p.a * stride], b = x[p.b * stride];
    x[p.a * stride] = a * cos_[i] - b * sin_[i];
    x[p.b * stride] = a * sin_[i] + b * cos_[i];
  }
}

}  // namespace fathom::kv
