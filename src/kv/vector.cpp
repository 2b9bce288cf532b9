#include "kv/vector.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace fathom::kv {
namespace {

constexpr size_t kLanes = 16;

float sum_of(const float* lanes) {
  float half[kLanes / 2];
  for (size_t j = 0; j < kLanes / 2; ++j) half[j] = lanes[j] + lanes[j + kLanes / 2];
  for (size_t j = 0; j < 4; ++j) half[j] += half[j + 4];
  return (half[0] + half[2]) + (half[1] + half[3]);
}

// 2^f = exp(x) in one chain without branches, so that it vectorises: the whole part of x / log 2
// goes to the exponent, the rest, at most log(2) / 2, through Taylor's polynomial of degree 7
// (remainder below 6e-9). REQUIRES: x <= 0; below -87 the result is that of -87, about 1e-38.
inline float exp_of(float x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  constexpr float kLog2High = 0.693359375f, kLog2Low = -2.12194440e-4f;
  x = x < -87.0f ? -87.0f : x;
  const float shifted = x * 1.44269504f + kRound;
  const float whole = shifted - kRound;
  const float r = (x - whole * kLog2High) - whole * kLog2Low;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const int32_t exponent = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRound);
  return p * std::bit_cast<float>((exponent + 127) << 23);
}

}  // namespace

float dot(const float* a, const float* b, size_t n) {
  float lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) lanes[j] += a[i + j] * b[i + j];
  }
  for (size_t j = 0; i < n; ++i, ++j) lanes[j] += a[i] * b[i];
  return sum_of(lanes);
}

void add_scaled(float a, const float* x, size_t n, float* y) {
  for (size_t i = 0; i < n; ++i) y[i] += a * x[i];
}

float norm(const float* x, size_t n) { return std::sqrt(dot(x, x, n)); }

void normalize(float* x, size_t n) {
  const float length = norm(x, n);
  if (!(length > 0)) return;
  for (size_t i = 0; i < n; ++i) x[i] /= length;
}

void softmax(std::span<float> x) {
  if (x.empty()) return;
  float* const p = x.data();
  const size_t n = x.size();
  float most = p[0];
  for (size_t i = 1; i < n; ++i) most = p[i] > most ? p[i] : most;
  float lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) p[i + j] = exp_of(p[i + j] - most);
    for (size_t j = 0; j < kLanes; ++j) lanes[j] += p[i + j];
  }
  for (size_t j = 0; i < n; ++i, ++j) lanes[j] += p[i] = exp_of(p[i] - most);
  const float scale = 1.0f / sum_of(lanes);
  for (i = 0; i < n; ++i) p[i] *= scale;
}

}  // namespace fathom::kv
