// What attention gives a query, computed anew in double from keys and values as a cache holds them:
// so that two caches' answers to the same query can be held against each other.
#pragma once

#include <limits>
#include <span>
#include <vector>

#include "kv/fetch/fetch_policy.h"
#include "kv/sequence_cache.h"

namespace fathom::eval {

struct AttentionOutput {
  std::vector<double> out;                                // [head_dim]
  double lse = -std::numeric_limits<double>::infinity();  // ln of the sum of e^score

  // One more token, of this score.
  void join(double score, std::span<const float> v);
};

// Over the tokens of `runs`, with the head's soft cap. REQUIRES: the view has their keys and
// values.
AttentionOutput attend_to(const kv::HeadView& head, const float* q, std::span<const kv::Run> runs);

// How scores become those of attention.
struct ScoreShape {
  float scale = 1.0f, soft_cap = 0.0f;
};
// Joins the token that stands for several which a head let go, where there is one; its key and
// value in the model's channels.
void join_extra(AttentionOutput& to, const kv::ExtraToken& extra, const float* q,
                const ScoreShape& shape);
// The same token in the model's channels.
kv::ExtraToken extra_of(const kv::HeadCache& head, kv::HeadId id);

// How far an answer is from the reference's to the same query.
struct OutputDifference {
  double error = 0;    // |other - reference| / |reference|
  double lse_gap = 0;  // other - reference
};
OutputDifference compare_outputs(const AttentionOutput& reference, const AttentionOutput& other);

// Of many answers.
struct AttentionLoss {
  double error_median = 0, error_p95 = 0;
  double lse_gap = 0;  // mean
  double mass = 0;     // share of the reference's weights on what was read, mean
};
struct HeadLoss {
  size_t layer = 0, kv_head = 0;
  AttentionLoss loss;
};

// Collects them by kv head.
class AttentionLosses {
 public:
  void add(size_t layer, size_t kv_head, const OutputDifference& difference);
  void add_mass(size_t layer, size_t kv_head, double mass);
  void add(const AttentionLosses& other);

  bool empty() const { return heads_.empty(); }
  AttentionLoss all() const;
  std::vector<HeadLoss> heads() const;  // by layer

 private:
  struct Samples {
    size_t layer = 0, kv_head = 0;
    std::vector<double> errors, gaps, masses;

    void add(const Samples& other);
  };
  Samples& at(size_t layer, size_t kv_head);
  static AttentionLoss loss_of(const Samples& samples);

  std::vector<Samples> heads_;
};

}  // namespace fathom::eval
