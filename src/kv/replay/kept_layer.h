// A recorded layer under a KEEP policy: the tokens that are still there.
#pragma once

#include <memory>
#include <vector>

#include "kv/keep/keep_policy.h"
#include "kv/replay/recording.h"
#include "kv/sequence_cache.h"

namespace fathom::kv {

// The frequencies and style of a recording's rotation; null where it does not name its base.
struct RecordedRope {
  std::vector<double> frequencies;
  RopeView view;
};
std::unique_ptr<RecordedRope> recorded_rope(const Recording& recording);

// The tokens of a recorded layer that are still there. Every query head may be taken as a kv head
// of its own, which is how some methods' authors do it.
class KeptLayer {
 public:
  enum class Heads : uint8_t { kShared, kPerQueryHead };
  // `layers`: of the model, which budgets may ask for. The recording must outlive this.
  KeptLayer(const Recording& recording, size_t layers, Heads heads = Heads::kShared);

  // Keys and values, [kv_heads][tokens][head_dim], in place of the recording's; they must outlive
  // this. REQUIRES: nothing was read yet.
  void replace(const float* k, const float* v) { k_ = k, v_ = v; }

  size_t heads() const { return heads_.size(); }
  size_t read() const { return read_; }  // tokens of the recording so far
  // Reads the next `tokens` of the recording. Their attention is added to what every stored token
  // has received, if `needs` asks for it. The view is valid until the next call of anything.
  const KeepView& append(size_t tokens, const KeepNeeds& needs);
  // Drops what the policy does not keep, and folds where it folds.
  void apply(const KeepPolicy& policy, const std::vector<std::vector<int32_t>>& kept);

  std::span<const int32_t> positions(size_t head) const { return heads_[head].positions; }
  // What stands for the head's dropped tokens.
  const ExtraToken& extra(size_t head) const { return heads_[head].extra; }
  HeadView view(size_t head) const;
  QueryView queries(size_t head, size_t first, size_t tokens) const;
  const std::vector<float>& received(size_t head) const { return heads_[head].received; }

 private:
  struct Head {
    std::vector<int32_t> positions;
    std::vector<float> k, v, k_unrotated;  // [tokens][head_dim]
    std::vector<float> received;           // [tokens]
    ExtraToken extra;
  };
  HeadView source(size_t head) const;
  void append_to(size_t head, size_t tokens);

  const Recording* recording_;
  const float* k_ = nullptr;
  const float* v_ = nullptr;
  std::unique_ptr<RecordedRope> rope_;
  size_t group_ = 1, read_ = 0;
  std::vector<Head> heads_;
  KeepView view_;
  std::vector<HeadView> head_views_;
  std::vector<QueryView> query_views_;
  std::vector<const float*> received_views_;
};

}  // namespace fathom::kv
