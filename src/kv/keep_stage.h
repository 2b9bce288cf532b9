// Runs a KEEP policy on the caches of an engine: remembers the queries that it asks for while a
// text is being read, asks it which tokens stay, and takes the others out of the pages.
//
// A policy is asked when a prompt has been read; one that evicts while decoding also whenever a
// page's worth of tokens has come since, so that a cache exceeds its budget by less than a page.
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
  // `policy` may be null: then nothing happens. Throws Error(kUnsupported) for a policy that needs
  // what the engine does not measure, or leaves behind what a page cannot hold.
  KeepStage(ThreadPool& pool, std::shared_ptr<const KeepPolicy> policy, size_t layers);

  // A layer's queries of a step, before or after they are answered.
  void observe(const AttendLayer& layer, std::span<const SequenceRows> sequences);
  // After a step. A no-op for policies that wait for the end of the prompt.
  void after_step(SequenceCache& cache);
  // At the end of a prompt.
  void after_prompt(SequenceCache& cache);

 private:
  struct Head {
    Buffer<float> k, v;
    std::vector<int32_t> positions, kept;
  };
  void evict(SequenceCache& cache);
  void evict_layer(SequenceCache& cache, size_t layer);
  void remember(const AttendLayer& layer, const SequenceRows& sequence);

  ThreadPool& pool_;
  std::shared_ptr<const KeepPolicy> policy_;
  size_t layers_;
  size_t window_ = 0;
  std::vector<float> scales_;  // of each layer's scores
  std::vector<Head> heads_;
};

}  // namespace fathom::kv
