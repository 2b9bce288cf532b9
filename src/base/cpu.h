// What this processor and this process may use: instruction sets and cores.
#pragma once

#include <string>

namespace fathom {

struct CpuFeatures {
  bool avx2 = false;         // AVX2, FMA, F16C and BMI2 together
  bool avx512 = false;       // AVX-512 F, BW, DQ, VL and VNNI together
  bool avx512_bf16 = false;  // as avx512, with the BF16 dot product
};

// Detected once, operating-system support included.
const CpuFeatures& cpu_features();

// Physical cores that this process may run on: its affinity mask, one per core, cut to the cgroup's
// CPU quota, at least 1. This is the default of --threads.
int usable_cores();

// The processor's name as the operating system prints it.
std::string cpu_name();

}  // namespace fathom
