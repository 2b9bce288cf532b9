// Joins model and cache: what the model attends to is a sequence's pages.
#pragma once

#include <span>

#include "kv/attend.h"
#include "kv/keep_stage.h"
#include "kv/store_stage.h"
#include "model/forward.h"

namespace fathom::engine {

// Sees what the attention of every layer and step got and gave.
class AttentionObserver {
 public:
  virtual ~AttentionObserver() = default;
  // `rows`: tokens of the step. The call's arrays are gone afterwards.
  virtual void attended(const model::AttendCall& call, size_t rows) = 0;
};

// A model's call as the cache takes it.
inline kv::AttendLayer layer_of(const model::AttendCall& call, size_t heads) {
  return {call.layer,  heads,
          call.q,      call.k,
          call.v,      call.out,
          call.scale,  call.soft_cap,
          call.window, {call.rope->frequencies(), call.rope->magnitude(), call.style}};
}

class CacheAttention final : public model::Attention {
 public:
  struct Stages {
    kv::Attender& attender;
    kv::KeepStage& keep;
    kv::StoreStage& store;
  };
  // `sequences`: in the order of the batch's rows; must outlive the forward pass. `observer` may be
  // null.
  CacheAttention(const Stages& stages, std::span<const kv::SequenceRows> sequences, size_t heads,
                 AttentionObserver* observer)
      : stages_(stages), sequences_(sequences), heads_(heads), observer_(observer) {}

  void attend(const model::AttendCall& call) override {
    const kv::AttendLayer layer = layer_of(call, heads_);
    stages_.attender.run(layer, sequences_);
    stages_.keep.observe(layer, sequences_);
    stages_.store.observe(layer, sequences_);
    if (observer_) observer_->attended(call, rows());
  }

 private:
  size_t rows() const {
    size_t n = 0;
    for (const kv::SequenceRows& s : sequences_) n += s.tokens;
    return n;
  }

  Stages stages_;
  std::span<const kv::SequenceRows> sequences_;
  size_t heads_;
  AttentionObserver* observer_;
};

}  // namespace fathom::engine
