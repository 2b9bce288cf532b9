// Runs a FETCH policy: a decode step's query reads the keys that the policy's index names, instead
// of all of them.
//
// Each head of a sequence has an index, which follows it from the prompt on and is copied with a
// fork. A policy that wants to see the prompt's queries is shown them in blocks counted from
// position 0, whatever the steps; a block waits until it is complete, or until the first decode
// step. Where a choice cuts through a page, the page is read and the other tokens are masked:
// choices of whole pages read least. Layers with a sliding window are left to it.
#pragma once

#include <memory>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "kernel/kernels.h"
#include "kv/attend_layer.h"
#include "kv/fetch/fetch_policy.h"
#include "kv/rope.h"
#include "kv/traffic.h"

namespace fathom::kv {

// What decoding read, summed over heads and layers.
struct FetchAccount {
  double read = 0;    // keys, of query heads
  double stored = 0;  // keys that were there

  double share() const { return stored > 0 ? read / stored : 1.0; }
};

class FetchStage {
 public:
  // `policy` may be null.
  FetchStage(ThreadPool& pool, const kernel::Kernels& kernels,
             std::shared_ptr<const FetchPolicy> policy);

  // Whether the policy chooses what this layer reads.
  bool reads(const AttendLayer& layer) const { return policy_ && layer.window == 0; }
  // Shows the indexes a piece of each sequence's prompt, whose keys and values are written.
  void read(const AttendLayer& layer, std::span<const SequenceRows> sequences);
  // Fills layer.out for sequences of one token each, whose keys and values are written.
  void run(const AttendLayer& layer, std::span<const SequenceRows> sequences);

  const FetchAccount& account() const { return account_; }
  void reset_account() { account_ = {}; }
  // See Attender::count().
  void count(Traffic* traffic) { traffic_ = traffic; }

 private:
  // Consecutive queries of one sequence.
  struct Asked {
    const SequenceRows* sequence = nullptr;
    size_t first = 0, tokens = 0;  // positions
    const float* q = nullptr;      // [tokens][heads][head_dim]
    size_t unrotated = 0;          // row of q_unrotated_ where they begin
    bool answered = false;         // layer.out is to be filled
  };
  struct Worker {
    Buffer<float> k, k_unrotated, v, state, part;
    Buffer<std::byte> kernel;
    std::vector<int32_t> positions;
    FetchReads reads;
    std::vector<Runs> runs;
    std::vector<kernel::PageView> views;
    std::vector<size_t> numbers;  // of the views' pages
    TextView text;
    FetchAccount account;
  };
  // The heads of a layer of one sequence, one at a time.
  struct Task {
    const AttendLayer& layer;
    const Asked& asked;
    size_t kv_head;
    std::span<const float> agreed;
    Worker& w;

    SequenceCache& cache() const { return *asked.sequence->cache; }
    const HeadCache& head() const { return cache().head(layer.layer, kv_head); }
    size_t group() const { return layer.heads / cache().shape().kv_heads; }
  };
  struct Heads {
    size_t first, count;
  };
  void prepare(const SequenceRows& sequence);
  void show_waiting(const AttendLayer& layer, const SequenceRows& sequence, size_t end);
  void ask(const AttendLayer& layer, std::span<Asked> asked);
  void unrotate(const AttendLayer& layer, std::span<Asked> asked);
  void agree(const AttendLayer& layer, std::span<const Asked> asked);
  InverseRotations& rotations(const AttendLayer& layer, size_t positions);

  FetchState::Head& state(const Task& task) const;
  HeadView view(const Task& task, size_t tokens);
  QueryView queries(const Task& task) const;
  void update(const Task& task);
  void answer(const Task& task);
  void observe(const Task& task);
  void attend(const Task& task, Heads heads);
  void count_views(const Task& task) const;

  ThreadPool& pool_;
  const kernel::Kernels& kernels_;
  std::shared_ptr<const FetchPolicy> policy_;
  FetchNeeds needs_;
  std::vector<Worker> workers_;
  std::vector<Asked> asked_;
  Buffer<float> q_unrotated_;               // [rows][heads][head_dim], of asked_
  std::vector<std::vector<float>> ranked_;  // [asked * kv heads]
  std::vector<std::vector<float>> agreed_;  // [asked]
  // By what tells a rotation from others: one for each table of the model.
  struct Table {
    const double* frequencies;
    InverseRotations rotations;
  };
  std::vector<Table> tables_;
  const InverseRotations* rotations_ = nullptr;  // of the layer
  FetchAccount account_;
  Traffic* traffic_ = nullptr;
};

}  // namespace fathom::kv
