// Attention of a step's queries over the caches of its sequences.
//
// One call handles one layer for every sequence of a batch, prefill and decode mixed. Work is cut
// into (sequence, kv head, tile of query rows) and, where that is too little to go round, into runs
// of pages at fixed multiples of kSegmentPages, whose partial results are merged in order: the cut
// never changes a bit of the result. The query heads of a group share each loaded page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "kernel/kernels.h"
#include "kv/attend_layer.h"
#include "kv/fetch_stage.h"
#include "kv/policy.h"
#include "kv/sparse_prefill.h"
#include "kv/traffic.h"

namespace fathom::kv {

class Attender {
 public:
  // `prefill`: how chunks of more than one token are read; null: every key. Once tokens have been
  // left out of a cache, what is read after them is read densely.
  // `fetch`: which keys steps of one token read; null: all.
  Attender(ThreadPool& pool, const kernel::Kernels& kernels,
           std::shared_ptr<const PrefillPolicy> prefill = nullptr,
           std::shared_ptr<const FetchPolicy> fetch = nullptr);

  // Writes k and v to the caches, then fills out. Allocates only while its scratch still grows.
  void run(const AttendLayer& layer, std::span<const SequenceRows> sequences);

  // Of what the prefill policy decided since reset_account().
  const PrefillAccount& account() const { return sparse_.account(); }
  // Adds what was read elsewhere for the same text, and the seconds it took.
  void add_account(const PrefillAccount& account, double seconds);
  const FetchAccount& fetch_account() const { return fetch_.account(); }
  // Adds what is moved from now on; null: nobody counts. Must outlive the runs.
  void count(Traffic* traffic) {
    traffic_ = traffic;
    fetch_.count(traffic);
  }
  // Seconds that run() took, deciding included.
  double seconds() const { return seconds_; }
  void reset_account() {
    sparse_.reset_account();
    fetch_.reset_account();
    seconds_ = 0;
  }

 private:
  // A tile of query rows of one kv head of one sequence. Row r belongs to token (first + r) / group
  // of the sequence's share and to query head kv_head * group + (first + r) % group.
  struct Item {
    const SequenceRows* sequence;
    size_t kv_head;
    size_t first, rows;
    size_t page_begin, page_end;  // that any of its rows may see
    size_t segment_begin = 0, segment_end = 0;
    // Items that begin with the same pages form a chain behind the first of them, the leader.
    size_t leader = kNone, next = kNone;
    size_t shared_pages = 0;  // with the leader
    size_t chain_rows = 0;    // of a leader: rows of the whole chain
  };
  static constexpr size_t kNone = SIZE_MAX;
  static constexpr size_t kRunsPerWorker = 8;  // of tasks: few enough to look ahead, many to share
  // A run of an item's pages, and where its partial result lies in partials_.
  struct Segment {
    size_t item;
    size_t page_begin, page_end;
    size_t partial;
  };
  // Segments of the same pages, done together: segments_[members_[begin, end)].
  struct Task {
    size_t begin, end;
  };
  void write(const AttendLayer& layer, std::span<const SequenceRows> sequences);
  static void record(const AttendLayer& layer, const SequenceRows& sequence);
  template <class Fn>
  void for_rows(const AttendLayer& layer, std::span<const SequenceRows> sequences, Fn fn);
  void enter_frame(AttendLayer& layer, std::span<const SequenceRows> sequences);
  void leave_frame(const AttendLayer& layer, std::span<const SequenceRows> sequences);
  void attend_densely(const AttendLayer& layer, std::span<const SequenceRows> sequences);
  void plan(const AttendLayer& layer, std::span<const SequenceRows> sequences);
  bool find_shared_pages(size_t layer);
  bool join_chain(size_t layer, size_t leader, size_t item);
  void plan_segments(size_t head_dim);
  void plan_tasks();
  void gather(const AttendLayer& layer, const Item& item, size_t row, int worker);
  void attend_pages(const AttendLayer& layer, const Segment& segment, size_t rows, int worker,
                    const kernel::AttendState& state, const kernel::PageView* next);
  void run_item(const AttendLayer& layer, const Item& item, int worker);
  const kernel::PageView& first_page(const AttendLayer& layer, const Task& task) const;
  void run_task(const AttendLayer& layer, const Task& task, int worker,
                const kernel::PageView* next);
  void run_split(const AttendLayer& layer);
  void finish(const AttendLayer& layer, const Item& item, const kernel::AttendState& state,
              float* rows);
  kernel::AttendState partial(const Segment& segment);

  ThreadPool& pool_;
  const kernel::Kernels& kernels_;
  std::shared_ptr<const PrefillPolicy> prefill_;
  SparsePrefill sparse_;
  FetchStage fetch_;
  std::vector<SequenceRows> dense_, decoding_, reading_;  // of a step
  double seconds_ = 0;
  Traffic* traffic_ = nullptr;
  std::vector<Item> items_;
  std::vector<Segment> segments_;
  std::vector<Task> tasks_;
  std::vector<size_t> members_, leaders_;
  struct WorkerScratch {
    Buffer<std::byte> kernel;
    Buffer<float> q, state, segment_state, rows;
    std::vector<int32_t> positions;
  };
  std::vector<WorkerScratch> workers_;
  Buffer<float> partials_;
  Buffer<float> framed_q_;  // see AttendLayer
};

}  // namespace fathom::kv
