// Smoothing of scores along the tokens, so that a chosen token brings its neighbours.
#pragma once

#include <cstdint>
#include <span>

namespace fathom::kv {

enum class Pooling : uint8_t { kNone, kAverage, kMax };

// scores[t] = mean or maximum over t - kernel/2 .. t + kernel/2. Beyond the ends there are zeros
// for the mean, whose divisor is always `kernel`, and nothing for the maximum. O(n * kernel).
// REQUIRES: kernel is odd.
void pool(Pooling pooling, size_t kernel, std::span<float> scores);

}  // namespace fathom::kv
