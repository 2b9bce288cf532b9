// The table of kernels for one instruction set, chosen once at start.
//
//   scalar      plain C++; the definition that the others are tested against
//   avx2        AVX2, FMA, F16C
//   avx512      AVX-512 F/BW/DQ/VL with VNNI
//   avx512bf16  as avx512, with BF16 dot products for BF16 weights and caches
//
// FATHOM_CPU=scalar|avx2|avx512|avx512bf16 forces one (avx512 means the best AVX-512 table); a name
// that is unknown or that this processor cannot run is an error, never a fallback.
#pragma once

#include <span>
#include <string_view>

#include "base/tensor_type.h"
#include "kernel/attention.h"
#include "kernel/elementwise.h"
#include "kernel/limits.h"
#include "kernel/matmul.h"
#include "kernel/score.h"

namespace fathom::kernel {

struct Kernels {
  std::string_view name;
  bool (*runs_here)();
  MatmulFn (*matmul)(TensorType type);
  AttendFn (*attend)(KvFormat format);
  ElementwiseKernels elementwise;
  ScoreKernels score;
  LimitKernels limits;
  // The cache format that this instruction set multiplies fastest.
  KvFormat native_kv;
};

// Every table compiled in, best first. Not all run here.
std::span<const Kernels* const> all_kernels();

// "" chooses the best that runs here. Throws Error(kUsage | kUnsupported).
const Kernels& pick_kernels(std::string_view forced);
// pick_kernels() of the environment variable FATHOM_CPU.
const Kernels& default_kernels();

const Kernels& scalar_kernels();

}  // namespace fathom::kernel
