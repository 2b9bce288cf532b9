#include "kv/vector.h"

#include <cmath>

#include "kernel/kernels.h"

namespace fathom::kv {
namespace {

constexpr size_t kLanes = 16;

float sum_of(const float* lanes) {
  float half[kLanes / 2];
  for (size_t j = 0; j < kLanes / 2; ++j) half[j] = lanes[j] + lanes[j + kLanes / 2];
  for (size_t j = 0; j < 4; ++j) half[j] += half[j + 4];
  return (half[0] + half[2]) + (half[1] + half[3]);
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
  if (!x.empty()) kernel::default_kernels().score.softmax(x.data(), x.size());
}

}  // namespace fathom::kv
