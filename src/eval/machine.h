// This machine's limits, measured with the threads that a model runs on: what speeds are held
// against.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/thread_pool.h"
#include "kernel/kernels.h"

namespace fathom::eval {

struct MachineLimits {
  std::string cpu;
  std::string instruction_set;
  int threads = 0;
  double read_bytes_per_second = 0;            // from memory, all threads together
  std::optional<double> int8_macs_per_second;  // multiply-adds
  std::optional<double> bf16_macs_per_second;
  double f32_macs_per_second = 0;
};

// Bytes a second that all threads together read from memory: the best of several runs, about half a
// second. Takes 512 MiB.
double measure_read_speed(ThreadPool& pool, const kernel::Kernels& kernels);

// Takes about two seconds: the best of several runs of each.
MachineLimits measure_limits(ThreadPool& pool, const kernel::Kernels& kernels);

}  // namespace fathom::eval
