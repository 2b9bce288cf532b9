// GemFilter on an engine: reads a prompt with the first layers of the model, in a cache that is
// dropped, and says which of its tokens all layers should read (kv/prefill/gemfilter.h).
//
// Belongs to a Runner and uses its forward pass between two steps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/progress.h"
#include "base/thread_pool.h"
#include "kv/attend.h"
#include "kv/page_pool.h"
#include "kv/policy.h"
#include "model/forward.h"

namespace fathom::engine {

// The layer that a filter asks: the one it names, or one two fifths up that sees the whole text.
// Throws Error(kUnsupported) for a layer that the model does not have or that only looks back a
// window.
size_t choosing_layer(const model::Config& config, const kv::GemFilter& filter);

class PromptFilter {
 public:
  struct Parts {
    ThreadPool& threads;
    const kernel::Kernels& kernels;
    model::Forward& forward;
    kv::PagePool& pages;
  };
  // Throws as choosing_layer() does.
  PromptFilter(const Parts& parts, const kv::Policy& policy);

  size_t budget() const { return filter_.budget; }
  size_t layer() const { return layer_; }

  // Places of the chosen tokens, ascending; nothing where `progress`, "choosing" in tokens, ended
  // it early. Throws Error(kOutOfMemory) where the pool has no room for the first layers' pages.
  std::vector<int32_t> choose(std::span<const int32_t> tokens, const Progress& progress);

  // What reading `tokens` and then `chosen` of them computed, in exact pairs of all heads, of what
  // reading all of them with every layer does. `again`: the share that the second reading
  // computed of its own.
  kv::PrefillAccount account(size_t tokens, size_t chosen, double again) const;
  double seconds() const { return attender_.seconds() + scoring_seconds_; }  // of the last choice

 private:
  class Probe;
  double pairs(size_t tokens, size_t layers) const;
  std::vector<int32_t> best(const kv::SequenceCache& cache, const Probe& probe);

  Parts parts_;
  kv::GemFilter filter_;
  kv::Store store_;
  kv::Attender attender_;
  size_t layer_;
  double scoring_seconds_ = 0;
};

}  // namespace fathom::engine
