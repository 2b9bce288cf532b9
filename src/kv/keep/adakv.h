// AdaKV: a layer's tokens are shared among its kv heads by their scores, not evenly, with a floor
// for every head. Wraps any scorer whose scores are comparable between heads.
//
// Feng et al., "Ada-KV: Optimizing KV Cache Eviction by Adaptive Budget Allocation for Efficient
// LLM Inference", 2024, arXiv:2407.11550. Checked against the authors' repository (rule kAuthors)
// and kvpress (rule kTopUp): head budgets and kept sets are equal.
#pragma once

#include "kv/keep/budget.h"
#include "kv/method.h"

namespace fathom::kv {

enum class AdaRule : uint8_t {
  // Heads get their number of tokens among the layer's best, drawn towards the mean by the floor.
  // The counts are rounded, so a layer may miss its total by a few tokens; it never exceeds it.
  kAuthors,
  // Every head keeps its best floor * budget, and the layer's best of all others fill the total.
  kTopUp,
};

struct AdaOptions {
  double floor = 0.2;  // share of the even budget that every head gets; 1: even budgets
  AdaRule rule = AdaRule::kTopUp;
  // Scores of each head are multiplied by the share of them that its own best tokens hold.
  enum class Scale : uint8_t { kNone, kConcentration } scale = Scale::kNone;
};

// Shares what `even` would give to the heads of a layer.
BudgetPtr adaptive_budget(BudgetPtr even, AdaOptions options);

MethodInfo adakv_info();
std::unique_ptr<const KeepPolicy> make_adakv(const Parameters& p);

}  // namespace fathom::kv
