// What this processor can do at most, measured by the instructions that the kernels are made of:
// the yardstick that `fathom bench` puts beside every speed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fathom::kernel {

// Each runs `n` rounds of independent instructions on registers and returns the multiply-adds done.
// Null where the instruction set has no such instruction.
struct LimitKernels {
  double (*int8)(size_t n);
  double (*bf16)(size_t n);
  double (*f32)(size_t n);
  // Reads n bytes once, front to back; n is a multiple of 4096. The result keeps the reads alive.
  uint64_t (*read)(const std::byte* data, size_t n);
};

}  // namespace fathom::kernel
