// Arithmetic on contiguous floats that policies share, for what is too small for a kernel. Sums run
// in 16 lanes, which compilers vectorise. Many rows at once: kernel/score.h.
#pragma once

#include <cstddef>
#include <span>

namespace fathom::kv {

float dot(const float* a, const float* b, size_t n);
// y += a * x
void add_scaled(float a, const float* x, size_t n, float* y);
float norm(const float* x, size_t n);
// x = x / |x|; all zero stays so.
void normalize(float* x, size_t n);
// x = softmax(x); nothing for an empty one.
void softmax(std::span<float> x);

}  // namespace fathom::kv
