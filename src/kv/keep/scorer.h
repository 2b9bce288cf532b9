// Scorers: one number for every token of every kv head; higher stays. They know nothing of budgets,
// so any of them can serve under any budget (budget.h) and any wrapper.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kv/keep/keep_policy.h"
#include "kv/pooling.h"

namespace fathom::kv {

class Scorer {
 public:
  virtual ~Scorer() = default;
  virtual KeepNeeds needs() const { return {}; }
  // Fills scores[kv head], which has the size of the head, for the tokens from `first` to those
  // before the last `recent`. The others stay anyway, and scores do not look across that border
  // except where a formula says so.
  struct Range {
    size_t first = 0;   // sinks
    size_t recent = 0;  // at the end
  };
  virtual void score(const KeepView& view, Range range,
                     std::span<std::vector<float>> scores) const = 0;
};

using ScorerPtr = std::unique_ptr<const Scorer>;

}  // namespace fathom::kv
