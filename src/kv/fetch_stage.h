// Runs a FETCH policy while decoding: a step's query reads the keys that the policy's index names,
// instead of all of them.
//
// Each head of a sequence has an index, which is built at the sequence's first step and follows it
// from then on; a fork builds its own. Where a choice cuts through a page, the page is read and the
// other tokens are masked: choices of whole pages read least.
#pragma once

#include <memory>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "kernel/kernels.h"
#include "kv/attend_layer.h"
#include "kv/fetch/fetch_policy.h"

namespace fathom::kv {

// What decoding read, summed over heads and layers.
struct FetchAccount {
  double read = 0;    // keys, of query heads
  double stored = 0;  // keys that were there

  double share() const { return stored > 0 ? read / stored : 1.0; }
};

class FetchStage {
 public:
  // `policy` may be null. Throws Error(kUnsupported) for a policy that needs what the engine does
  // not provide.
  FetchStage(ThreadPool& pool, const kernel::Kernels& kernels,
             std::shared_ptr<const FetchPolicy> policy);

  bool active() const { return policy_ != nullptr; }
  // Fills layer.out for sequences of one token each, whose keys and values are written.
  void run(const AttendLayer& layer, std::span<const SequenceRows> sequences);

  const FetchAccount& account() const { return account_; }
  void reset_account() { account_ = {}; }

 private:
  struct Worker {
    Buffer<float> keys, state, part, rows;
    Buffer<std::byte> kernel;
    std::vector<Runs> runs;
    std::vector<kernel::PageView> views;
    FetchAccount account;
  };
  void prepare(const SequenceRows& sequence);
  void run_head(const AttendLayer& layer, const SequenceRows& sequence, size_t kv_head, int worker);
  void select(const AttendLayer& layer, const SequenceRows& sequence, size_t kv_head, Worker& w);
  struct Heads {
    size_t first, count;
  };
  void attend(const AttendLayer& layer, const SequenceRows& sequence, const HeadCache& head,
              Heads heads, Worker& w);

  ThreadPool& pool_;
  const kernel::Kernels& kernels_;
  std::shared_ptr<const FetchPolicy> policy_;
  FetchNeeds needs_;
  std::vector<Worker> workers_;
  FetchAccount account_;
};

}  // namespace fathom::kv
