// Budgets: how many tokens each kv head of a layer keeps. They see scores but not what these mean.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kv/keep/keep_policy.h"

namespace fathom::kv {

// One kv head as a budget sees it: `forced` tokens stay whatever the scores, and others compete.
struct Candidates {
  size_t tokens = 0;
  size_t forced = 0;
  std::span<const float> scores;  // [tokens - forced]; empty where the budget wants none
};

class Budget {
 public:
  virtual ~Budget() = default;
  // The share of a head of `layer` before scores are looked at: forced tokens are cut to fit it,
  // and a layer whose heads all fit keeps everything.
  virtual size_t head_limit(const KeepView& view, size_t kv_head) const = 0;
  // Fills tokens[kv head]: what each keeps, forced tokens included, at most what it has.
  virtual void share(const KeepView& view, std::span<const Candidates> heads,
                     std::span<size_t> tokens) const = 0;
};

using BudgetPtr = std::unique_ptr<const Budget>;

// The same for every head: up to `limit` tokens stay untouched; a longer head is cut to `target`,
// which is smaller where tokens are evicted in bulk.
BudgetPtr even_budget(size_t limit, size_t target);
inline BudgetPtr even_budget(size_t limit) { return even_budget(limit, limit); }

}  // namespace fathom::kv
