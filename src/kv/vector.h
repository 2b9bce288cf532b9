// Arithmetic on contiguous floats that policies share. Sums run in 16 lanes, so that compilers
// vectorise them for any instruction set and every machine gets the same bits.
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
// x = softmax(x); nothing for an empty one. Relative error of each weight below 1e-6 plus the
// error of the logits.
void softmax(std::span<float> x);

}  // namespace fathom::kv
