#include "eval/machine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

#include "base/buffer.h"
#include "base/cpu.h"

namespace fathom::eval {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Far beyond any cache, so that what is read comes from memory.
constexpr size_t kReadBytes = size_t{512} << 20;

std::optional<double> peak(ThreadPool& pool, double (*rounds)(size_t)) {
  if (!rounds) return std::nullopt;
  const auto run = [&](size_t n) {
    std::vector<double> done(static_cast<size_t>(pool.size()));
    const auto start = Clock::now();
    pool.run(done.size(), [&](size_t i, int) { done[i] = rounds(n); });
    double macs = 0;
    for (const double d : done) macs += d;
    return macs / seconds_since(start);
  };
  const size_t n = size_t{1} << 20;
  run(n);  // wakes the cores
  double best = 0;
  for (int i = 0; i < 8; ++i) best = std::max(best, run(4 * n));
  return best;
}

}  // namespace

double measure_read_speed(ThreadPool& pool, const kernel::Kernels& kernels) {
  Buffer<std::byte> memory(kReadBytes);
  const size_t parts = static_cast<size_t>(pool.size());
  const auto each = [&](auto fn) {
    pool.run(parts, [&](size_t part, int) {
      const Range r = part_of(kReadBytes, 4096, part, parts);
      fn(memory.data() + r.begin, r.size());
    });
  };
  each([](std::byte* p, size_t n) { std::fill_n(p, n, std::byte{1}); });
  std::atomic<uint64_t> keep{0};
  double best = 0;
  for (int run = 0; run < 8; ++run) {
    const auto start = Clock::now();
    each([&](std::byte* p, size_t n) { keep += kernels.limits.read(p, n); });
    best = std::max(best, double(kReadBytes) / seconds_since(start));
  }
  return best;
}

MachineLimits measure_limits(ThreadPool& pool, const kernel::Kernels& kernels) {
  MachineLimits limits;
  limits.cpu = cpu_name();
  limits.instruction_set = std::string(kernels.name);
  limits.threads = pool.size();
  limits.read_bytes_per_second = measure_read_speed(pool, kernels);
  limits.int8_macs_per_second = peak(pool, kernels.limits.int8);
  limits.bf16_macs_per_second = peak(pool, kernels.limits.bf16);
  limits.f32_macs_per_second = *peak(pool, kernels.limits.f32);
  return limits;
}

}  // namespace fathom::eval
