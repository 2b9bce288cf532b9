#include "kernel/scalar/tables.h"

namespace fathom::kernel {
namespace {

constexpr int kChains = 8;

double f32_rounds(size_t n) {
  volatile float a = 0.5f, b = 0.25f;
  float sum[kChains] = {};
  for (size_t i = 0; i < n; ++i) {
    const float x = a, y = b;
    for (float& s : sum) s += x * y;
  }
  volatile float keep = sum[0] + sum[kChains - 1];
  (void)keep;
  return static_cast<double>(n) * kChains;
}

uint64_t read_bytes(const std::byte* data, size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i += 8) {
    uint64_t word;
    __builtin_memcpy(&word, data + i, 8);
    sum ^= word;
  }
  return sum;
}

}  // namespace

const LimitKernels scalar_limits = {nullptr, nullptr, f32_rounds, read_bytes};

}  // namespace fathom::kernel
