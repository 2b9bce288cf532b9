// Runs a KEEP policy on the caches of an engine: remembers what it asks for while a text is being
// read (the last queries, the attention that tokens receive), asks it which tokens stay, and takes
// the others out of the pages.
//
// A policy is asked when a prompt has been read; one that evicts while decoding also whenever a
// page's worth of tokens has come since, so that a cache exceeds its budget by less than a page.
//
// Attention received is that of dense attention over the keys that are there: the products of all
// new queries with all keys once more, in f32.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "kv/attend_layer.h"
#include "kv/keep/keep_policy.h"

namespace fathom::kv {

class KeepStage {
 public:
  // `policy` may be null: then nothing happens.
  KeepStage(ThreadPool& pool, std::shared_ptr<const KeepPolicy> policy, size_t layers);

  // A layer's queries of a step, whose keys and values are in the cache.
  void observe(const AttendLayer& layer, std::span<const SequenceRows> sequences);
  enum class Phase : uint8_t { kReading, kDecoding };
  // After a step that left the sequence in this phase.
  void after_step(SequenceCache& cache, Phase phase);
  // At the end of a prompt.
  void after_prompt(SequenceCache& cache);

 private:
  struct Head {
    Buffer<float> k, v;
    std::vector<float> q_unrotated;
    std::vector<int32_t> positions;
  };
  // What stays the same for all sequences.
  struct Layer {
    float scale = 1.0f, soft_cap = 0.0f;
    int32_t window = 0;
    RopeView rope;
  };
  void evict(SequenceCache& cache);
  void evict_layer(SequenceCache& cache, size_t layer);
  void leave(SequenceCache& cache, const HeadView& head, std::span<const int32_t> kept);
  void move_sinks(SequenceCache& cache, const HeadView& head, size_t kept);
  void remember(const AttendLayer& layer, const SequenceRows& sequence);
  void add_received(const AttendLayer& layer, const SequenceRows& sequence, size_t kv_head,
                    Head& scratch);
  HeadView view(const SequenceCache& cache, size_t layer, size_t kv_head, Head& head) const;
  QueryView queries(SequenceCache& cache, const HeadView& view, Head& head) const;

  ThreadPool& pool_;
  std::shared_ptr<const KeepPolicy> policy_;
  KeepNeeds needs_;
  std::vector<Layer> layers_;
  std::vector<Head> heads_;    // of the layer that is asked about
  std::vector<Head> workers_;  // scratch
};

}  // namespace fathom::kv
