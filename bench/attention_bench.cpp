// Attention over paged caches, as the engine runs it: all threads, eight layers of 8 kv heads with
// four query heads of 64 channels each. The caches do not fit into the processor's.
//
//   decode/STORE/DEPTH   one token of one sequence
//   shared/STORE/DEPTH   one token of each of eight sequences, forks of one of that length
//   prefill/STORE/DEPTH  512 tokens of one sequence
//
// Counters: keys and values read, bytes a second, and multiply-adds a second.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/thread_pool.h"
#include "kv/attend.h"
#include "kv/policy.h"

namespace {

using namespace fathom;

constexpr kv::CacheShape kShape{8, 8, 64};
constexpr size_t kHeads = 32;

struct Work {
  const char* name;
  size_t sequences, tokens;
};

std::vector<float> noise(size_t n) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

void fill(kv::SequenceCache& cache, size_t depth, ThreadPool& threads) {
  constexpr size_t kStep = 512, kWidth = kShape.kv_heads * kShape.head_dim;
  static const std::vector<float> rows = noise(kStep * kWidth);
  for (size_t at = 0; at < depth; at += kStep) {
    const size_t tokens = std::min(kStep, depth - at);
    cache.extend(tokens);
    threads.run(kShape.layers * kShape.kv_heads, [&](size_t i, int) {
      const float* from = rows.data() + i % kShape.kv_heads * kShape.head_dim;
      cache.write(i / kShape.kv_heads, i % kShape.kv_heads, at, {from, from, kWidth, tokens});
    });
    cache.seal(threads);
  }
}

void attend(benchmark::State& state, const Work& work, const std::string& store, size_t depth) {
  const auto threads = ThreadPool::shared(usable_cores());
  const kernel::Kernels& kernels = kernel::default_kernels();
  const kv::Policy policy = kv::make_policy(kv::parse_policy("store=" + store), kernels.native_kv);
  kv::PagePool pool(size_t{8} << 30);
  std::vector<kv::SequenceCache> caches;
  caches.emplace_back(pool, policy.store, kShape);
  fill(caches[0], depth, *threads);
  const size_t cache_bytes = caches[0].bytes();
  while (caches.size() < work.sequences) caches.push_back(caches[0].fork());
  for (kv::SequenceCache& cache : caches) cache.extend(work.tokens);
  const size_t rows = work.sequences * work.tokens, width = kHeads * kShape.head_dim;
  const std::vector<float> q = noise(rows * width);
  std::vector<float> out(rows * width);
  std::vector<kv::SequenceRows> parts;
  for (size_t i = 0; i < caches.size(); ++i) {
    parts.push_back({&caches[i], i * work.tokens, work.tokens});
  }
  kv::Attender attender(*threads, kernels);
  for (auto _ : state) {
    for (size_t layer = 0; layer < kShape.layers; ++layer) {
      attender.run({layer, kHeads, q.data(), q.data(), q.data(), out.data(), 0.125f}, parts);
    }
  }
  using benchmark::Counter;
  const double keys = double(depth) + double(work.tokens + 1) / 2;
  const double macs = 2.0 * double(kShape.layers * rows * width) * keys;
  state.counters["B/s"] = Counter(double(cache_bytes), Counter::kIsIterationInvariantRate);
  state.counters["MAC/s"] = Counter(macs, Counter::kIsIterationInvariantRate);
}

}  // namespace

int main(int argc, char** argv) {
  const Work works[] = {{"decode", 1, 1}, {"shared", 8, 1}, {"prefill", 1, 512}};
  for (const Work& work : works) {
    for (const char* store : {"f32", "f16", "bf16", "q8", "k8v4", "k4v4", "k2v2"}) {
      for (const size_t depth : {size_t{8192}, size_t{16384}, size_t{32768}}) {
        benchmark::RegisterBenchmark(
            (std::string(work.name) + "/" + store + "/" + std::to_string(depth)).c_str(),
            [=](benchmark::State& state) { attend(state, work, store, depth); })
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime();
      }
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
