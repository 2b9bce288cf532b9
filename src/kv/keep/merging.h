// Merging: what any scorer evicts is not dropped; its value is folded into the value of the
// surviving token with the most similar key. Keys stay as they are, so positions stay right.
//
// After LOOK-M (Wan et al., 2024, arXiv:2406.18139) and D2O (2024, arXiv:2406.13035), in the form
// of kvpress, against which it is checked: targets, similarities and merged values are equal where
// every survivor may be a target (reach 0).
#pragma once

#include <memory>

#include "kv/keep/keep_policy.h"
#include "kv/method.h"

namespace fathom::kv {

struct MergingOptions {
  float threshold = 0.0f;  // cosine below which an evicted token is dropped after all
  size_t reach = 0;        // positions to either side in which a target is looked for; 0: anywhere
};

// Where one evicted token goes.
struct Merge {
  int32_t token = 0;    // index of the evicted one
  int32_t target = -1;  // index among the survivors (into `kept`); -1: there is none in reach
  float cosine = 0.0f;  // of their keys; equal cosines: the earlier survivor
};
// Evicted tokens, ascending. evicted * survivors in reach * head_dim multiply-adds.
std::vector<Merge> merge_targets(const HeadView& head, std::span<const int32_t> kept, size_t reach);

// `inner` decides; what it evicts is merged.
std::unique_ptr<const KeepPolicy> make_merging(std::unique_ptr<const KeepPolicy> inner,
                                               MergingOptions options);

MethodInfo merging_info();
std::unique_ptr<const KeepPolicy> make_merging(const Parameters& p);

}  // namespace fathom::kv
