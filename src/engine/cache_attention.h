// Joins model and cache: what the model attends to is a sequence's pages.
#pragma once

#include <span>

#include "kv/attend.h"
#include "kv/keep_stage.h"
#include "model/forward.h"

namespace fathom::engine {

class CacheAttention final : public model::Attention {
 public:
  // `sequences`: in the order of the batch's rows; must outlive the forward pass.
  CacheAttention(kv::Attender& attender, kv::KeepStage& keep,
                 std::span<const kv::SequenceRows> sequences, size_t heads)
      : attender_(attender), keep_(keep), sequences_(sequences), heads_(heads) {}

  void attend(const model::AttendCall& call) override {
    const kv::AttendLayer layer{call.layer, heads_,     call.q,        call.k,     call.v,
                                call.out,   call.scale, call.soft_cap, call.window};
    attender_.run(layer, sequences_);
    keep_.observe(layer, sequences_);
  }

 private:
  kv::Attender& attender_;
  kv::KeepStage& keep_;
  std::span<const kv::SequenceRows> sequences_;
  size_t heads_;
};

}  // namespace fathom::engine
