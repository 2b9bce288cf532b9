// Reading a chunk of the prompt by the lists of a PREFILL policy, instead of every key.
//
// For each kv head the policy lists what each block of queries reads; then the attention kernel
// runs over tiles of 64 queries of one query head and their pages. Pieces that begin at a page's
// border are read where they lie, others are copied; single keys are gathered into pages that
// neighbouring blocks share. With every key in the lists the result is that of dense attention, bit
// for bit. What a policy says in bundles is attended to before (bundle_attention.h) and joined.
//
// Scratch grows with the longest sequence: the keys of one kv head as floats for each worker. What
// is gathered at once is bound by kGatherBytes, or by what one query head needs.
#pragma once

#include <cstddef>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "kernel/kernels.h"
#include "kv/attend_layer.h"
#include "kv/bundle_attention.h"
#include "kv/prefill/prefill_policy.h"
#include "kv/shared_columns.h"

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
  void add_account(const PrefillAccount& account);

 private:
  // Queries [first, first + rows) of the chunk of one query head, and what they read.
  struct Tile {
    size_t head;
    size_t first, rows;
    const RowList* list;
    const ColumnSet* columns;  // null: none
    size_t page;               // of the set's first in gathered_
  };
  // A set whose keys are gathered from `page` on.
  struct Gathered {
    const ColumnSet* set;
    size_t head, page;
  };
  struct Worker {
    Buffer<float> keys;  // [tokens][head_dim]
    Buffer<std::byte> kernel, copies;
    Buffer<float> q, state, part, rows;
    std::vector<int32_t> positions, loose;
    std::vector<int32_t> copied_positions;
    std::vector<kernel::PageView> open, windowed;  // without and with the list's window
  };
  void prepare(const SequenceRows& sequence);
  void select(const PrefillPolicy& policy, const AttendLayer& layer, const SequenceRows& sequence);
  void select_head(const PrefillPolicy& policy, const AttendLayer& layer,
                   const SequenceRows& sequence, size_t kv_head, int worker);
  void share(const SequenceRows& sequence, size_t heads, size_t query_block);
  size_t plan_gathering(const AttendLayer& layer, const SequenceRows& sequence, size_t first_head);
  void gather_columns(const AttendLayer& layer, const SequenceRows& sequence);
  struct HeadRange {
    size_t first, end;
  };
  void plan_tiles(const AttendLayer& layer, const SequenceRows& sequence, size_t query_block,
                  const HeadRange& heads);
  void record(Ledger& ledger, const AttendLayer& layer, const Tile& tile, size_t start) const;
  void run_tile(const AttendLayer& layer, const SequenceRows& sequence, const Tile& tile,
                int worker);
  void collect_pieces(const HeadCache& head, const RowList& list, Worker& w);
  void collect_columns(const StoreCodec& codec, size_t head_dim, const Tile& tile, Worker& w);
  void copy_pieces(const HeadCache& head, size_t head_dim, std::span<const int32_t> from,
                   Worker& w);
  struct Pass {
    const Tile* tile;
    std::span<const kernel::PageView> views;
    int32_t window;
  };
  void attend(const AttendLayer& layer, const SequenceCache& cache, const Pass& pass, Worker& w);

  ThreadPool& pool_;
  const kernel::Kernels& kernels_;
  std::vector<Worker> workers_;
  BundleAttention bundles_;
  std::vector<RowList> lists_;                // [query head][block]
  std::vector<size_t> ends_;                  // [block]: index after its last query
  std::vector<std::vector<ColumnSet>> sets_;  // [query head]
  std::vector<Gathered> gathering_;           // of the heads that are being read
  Buffer<std::byte> gathered_;                // their pages
  std::vector<int32_t> gathered_positions_;   // [page][64]
  std::vector<Tile> tiles_;
  size_t blocks_ = 0;
  PrefillAccount account_;
};

}  // namespace fathom::kv
