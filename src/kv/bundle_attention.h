// Attention of the queries that a PREFILL policy brought together with keys from anywhere.
//
// A bundle's keys are gathered into pages, which all query heads of its group read; its rows are
// computed in tiles of 64, over the keys exactly, over the sample with every term of the softmax
// multiplied by the sample's weight. What each row found is kept as (max, sum, out) until whoever
// reads its list joins it. Bundles of a round run in parallel, rounds one after the other.
//
// Scratch: a state for every query of the chunk, and the gathered samples.
#pragma once

#include <cstddef>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "kernel/kernels.h"
#include "kv/attend_layer.h"
#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

class BundleAttention {
 public:
  BundleAttention(ThreadPool& pool, const kernel::Kernels& kernels);

  // Empty bundles for a chunk of so many kv heads, to be filled through of().
  void clear(size_t kv_heads);
  Bundles& of(size_t kv_head) { return bundles_[kv_head]; }

  // Attends; returns how many pairs of queries and keys were computed, in whole pages.
  double run(const AttendLayer& layer, const SequenceRows& sequence);
  // Adds to `state` what queries [first, first + rows) of the chunk of a query head found.
  void join(size_t head, size_t first, const kernel::AttendState& state, size_t rows);

 private:
  struct Work {
    size_t kv_head;
    const Bundle* bundle;
  };
  struct GatheredSample {
    size_t kv_head;
    size_t page;  // of its first in sample_pages_
    const Sample* sample;
  };
  struct Worker {
    Buffer<std::byte> kernel, pages;
    Buffer<float> q, state, part;
    std::vector<int32_t> positions, key_positions;
    std::vector<kernel::PageView> views, sampled;
  };
  // What stays the same for all bundles of a run.
  struct Run {
    const AttendLayer& layer;
    const SequenceRows& sequence;
    size_t head_dim, group, start;
  };
  void gather_samples(const Run& run);
  double plan_round(const Run& run, size_t round);
  void collect_views(const Run& run, const Work& work, Worker& w);
  void run_bundle(const Run& run, const Work& work, Worker& w);
  void run_rows(const Run& run, const Work& work, std::span<const Bundle::Row> rows, Worker& w);
  void record(Ledger& ledger, const Run& run, const Bundle& bundle, const Sample& sample) const;
  // The state of one query of the chunk.
  kernel::AttendState found(size_t head, size_t query);

  ThreadPool& pool_;
  const kernel::Kernels& kernels_;
  std::vector<Bundles> bundles_;         // [kv head]
  std::vector<GatheredSample> samples_;  // of all kv heads,
  std::vector<size_t> first_sample_;     // [kv head]: where its own begin
  Buffer<std::byte> sample_pages_;
  std::vector<int32_t> sample_positions_;  // [page][64]
  std::vector<kernel::PageView> sample_views_;
  std::vector<Work> round_;
  std::vector<Worker> workers_;
  Buffer<float> states_;  // [heads][tokens] of (max, sum, out)
  size_t tokens_ = 0, width_ = 0;
  bool any_ = false;
};

}  // namespace fathom::kv
