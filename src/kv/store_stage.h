// Runs stores that look at attention before they encode (kv/store/page_chooser.h) on the caches of
// an engine: remembers the last queries, asks at the end of a prompt and now and then while
// decoding, and has the pages encoded.
#pragma once

#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "kv/attend_layer.h"
#include "kv/store/page_chooser.h"

namespace fathom::kv {

class StoreStage {
 public:
  // Does nothing where no layer's store asks for it.
  StoreStage(ThreadPool& pool, const Store& store, size_t layers);

  // A layer's queries of a step, whose keys and values are in the cache.
  void observe(const AttendLayer& layer, std::span<const SequenceRows> sequences);
  // After a step of a sequence that is not reading a prompt.
  void after_step(SequenceCache& cache);
  // At the end of a prompt.
  void after_prompt(SequenceCache& cache);

 private:
  void decide(SequenceCache& cache);
  void choose(const SequenceCache& cache, size_t layer, size_t kv_head, int worker,
              std::vector<SequenceCache::Seal>& seals);

  struct Worker {
    Buffer<float> keys;
    std::vector<int32_t> positions;
  };
  ThreadPool& pool_;
  std::vector<const PageChooser*> choosers_;  // of the layers; null: pages are sealed as they fill
  // Of a layer's attention, as the model asked for it.
  struct Scores {
    float scale = 1.0f, soft_cap = 0.0f;
    int32_t window = 0;
  };
  std::vector<Scores> scores_;
  size_t window_ = 0;        // the longest that a chooser wants
  size_t every_ = SIZE_MAX;  // the shortest
  std::vector<Worker> workers_;
};

}  // namespace fathom::kv
