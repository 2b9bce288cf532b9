// What prefill methods cost to decide: one kv head of four query heads of 64 channels, a prompt of
// 32,768 tokens of random numbers, one thread. `of_dense` is the time as a share of what dense
// attention of the head would take at the speed of the score kernel, which does half its work.
#include <benchmark/benchmark.h>

#include <chrono>
#include <string>

#include "kernel/kernels.h"
#include "kv/registry.h"
#include "support/made_head.h"

namespace {

using namespace fathom;

constexpr size_t kTokens = 32768;

const test::MadeHead& head() {
  static const test::MadeHead made(kTokens, 1, {.group = 4, .head_dim = 64});
  return made;
}

// Seconds that all products of queries with the keys before them take, twice.
double dense_seconds() {
  static const double seconds = [] {
    constexpr size_t kRows = 64, kColumns = 4096;
    std::vector<float> out(kRows * kColumns);
    const auto run = [&] {
      kernel::default_kernels().score.scores({head().q.data(), 256, kRows, head().k.data(), 64,
                                              kColumns, 64, 1.0f, out.data(), kColumns});
    };
    run();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i) run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const double pairs = 4.0 * kTokens * kTokens / 2;
    return 2 * took.count() / 20 / (kRows * kColumns) * pairs;
  }();
  return seconds;
}

void select(benchmark::State& state, const kv::Method& method) {
  const auto policy = method.prefill(kv::Parameters(method.info, {}, "bench"));
  const kv::PrefillView view = head().chunk(0, kTokens);
  const size_t blocks = kv::touched_blocks(0, kTokens, policy->query_block());
  std::vector<kv::RowList> lists(view.queries.group * blocks);
  kv::Bundles bundles;
  double seconds = 0;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    bundles = {};
    policy->select(view, lists);
    policy->bundle(view, bundles);
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  double keys = 0;
  for (const kv::RowList& list : lists) {
    keys += static_cast<double>(list.pieces.size() * kv::kPieceTokens + list.columns.size());
  }
  const double runs = static_cast<double>(state.iterations());
  const double rows = static_cast<double>(policy->query_block());
  for (const auto& round : bundles.rounds) {
    for (const kv::Bundle& bundle : round) {
      const size_t sampled = bundles.samples[bundle.sample].keys.size();
      keys += static_cast<double>(bundle.rows.size() * (bundle.keys.size() + sampled)) / rows;
    }
  }
  state.counters["of_dense"] = seconds / runs / dense_seconds();
  state.counters["density"] = keys * rows / (4.0 * kTokens * kTokens / 2);
}

}  // namespace

int main(int argc, char** argv) {
  for (const kv::Method& method : kv::all_methods()) {
    if (method.info.stage != kv::Stage::kPrefill || method.info.name == "dense") continue;
    benchmark::RegisterBenchmark(std::string(method.info.name).c_str(),
                                 [&method](benchmark::State& state) { select(state, method); })
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
