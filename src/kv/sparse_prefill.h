// Reading a chunk of the prompt by the lists of a PREFILL policy, instead of every key.
//
// For each kv head the policy lists what each block of queries reads; then the attention kernel
// runs over tiles of 64 queries of one query head and their pages. Pieces that begin at a page's
// border are read where they lie, others and single keys are gathered into pages of scratch. With
// every key in the lists the result is that of dense attention, bit for bit.
//
// Scratch grows with the longest sequence: the keys of one kv head as floats for each worker.
#pragma once

#include <cstddef>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "kernel/kernels.h"
#include "kv/attend_layer.h"
#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

// What was read, summed over heads and layers.
struct PrefillAccount {
  double visited = 0;  // (query, key) pairs that the kernel computed, whole tiles
  double causal = 0;   // what dense attention would have computed, whole tiles
  double select_seconds = 0;
  double attend_seconds = 0;

  double density() const { return causal > 0 ? visited / causal : 1.0; }
};

class SparsePrefill {
 public:
  SparsePrefill(ThreadPool& pool, const kernel::Kernels& kernels);

  // Fills layer.out for one sequence, whose keys and values are written.
  void run(const PrefillPolicy& policy, const AttendLayer& layer, const SequenceRows& sequence);

  const PrefillAccount& account() const { return account_; }
  void reset_account() { account_ = {}; }

 private:
  // Queries [first, first + rows) of the chunk of one query head, and what they read.
  struct Tile {
    size_t head;
    size_t first, rows;
    const RowList* list;
  };
  struct Worker {
    Buffer<float> keys;  // [tokens][head_dim]
    Buffer<std::byte> kernel, gathered;
    Buffer<float> q, state, part, rows;
    std::vector<int32_t> gathered_positions, positions, index;
    std::vector<kernel::PageView> open, windowed;  // without and with the list's window
  };
  void prepare(const SequenceRows& sequence);
  void select(const PrefillPolicy& policy, const AttendLayer& layer, const SequenceRows& sequence);
  void select_head(const PrefillPolicy& policy, const AttendLayer& layer,
                   const SequenceRows& sequence, size_t kv_head, int worker);
  void plan(const AttendLayer& layer, const SequenceRows& sequence, size_t query_block);
  void record(Ledger& ledger, const AttendLayer& layer, const Tile& tile, size_t start) const;
  void run_tile(const AttendLayer& layer, const SequenceRows& sequence, const Tile& tile,
                int worker);
  void collect(const HeadCache& head, const SequenceCache& cache, const Tile& tile, Worker& w);
  size_t gather(const SequenceCache& cache, const HeadCache& head, Worker& w, size_t used,
                std::vector<kernel::PageView>& views);
  struct Pass {
    const Tile* tile;
    const std::vector<kernel::PageView>* views;
    int32_t window;
  };
  void attend(const AttendLayer& layer, const SequenceCache& cache, const Pass& pass, Worker& w);

  ThreadPool& pool_;
  const kernel::Kernels& kernels_;
  std::vector<Worker> workers_;
  std::vector<RowList> lists_;  // [query head][block]
  std::vector<Tile> tiles_;
  size_t blocks_ = 0;
  PrefillAccount account_;
};

}  // namespace fathom::kv
