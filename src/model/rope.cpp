#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fathom::model {
namespace {

// The pair whose wave makes `turns` turns within the original context.
double yarn_pair(const RopeConfig& c, double turns) {
  const double n = static_cast<double>(c.rotated);
  const double context = static_cast<double>(c.original_context);
  return n * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(c.base));
}

// Share of pair i that keeps its trained frequency: 1 for fast waves, 0 for slow ones.
double yarn_share(const RopeConfig& c, size_t i) {
  const double low = std::max(0.0, std::floor(yarn_pair(c, c.yarn_beta_fast)));
  const double high =
      std::min(static_cast<double>(c.rotated) - 1, std::ceil(yarn_pair(c, c.yarn_beta_slow)));
  const double ramp = (static_cast<double>(i) - low) / std::max(0.001, high - low);
  return 1.0 - std::clamp(ramp, 0.0, 1.0);
}

}  // namespace

Rope::Rope(const RopeConfig& c, size_t context)
    : frequencies_(c.rotated / 2), magnitude_(c.magnitude) {
  const bool is_long = !c.long_factors.empty() && context > c.original_context;
  const std::vector<float>& factors = is_long ? c.long_factors : c.short_factors;
  for (size_t i = 0; i < frequencies_.size(); ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(c.rotated);
    double f = std::pow(c.base, exponent);
    if (!factors.empty()) f /= factors[i];
    if (c.scaling == RopeScaling::kLinear) f /= c.factor;
    if (c.scaling == RopeScaling::kYarn) {
      const double keep = yarn_share(c, i);
      f = f / c.factor * (1 - keep) + f * keep;
    }
    frequencies_[i] = f;
  }
  if (c.scaling == RopeScaling::kYarn) magnitude_ *= 1.0 + 0.1 * std::log(c.factor);
}

void Rope::angles(int32_t position, float* cos, float* sin) const {
  for (size_t i = 0; i < frequencies_.size(); ++i) {
    const double angle = position * frequencies_[i];
    cos[i] = static_cast<float>(std::cos(angle) * magnitude_);
    sin[i] = static_cast<float>(std::sin(angle) * magnitude_);
  }
}

}  // namespace fathom::model
