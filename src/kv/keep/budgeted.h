// The one way a budgeted method decides: force some tokens, score the rest, keep the best.
#pragma once

#include "kv/keep/budget.h"
#include "kv/keep/scorer.h"

namespace fathom::kv {

// Tokens that stay whatever their scores: the first `sinks` of a head and its last `recent`. Where
// the budget is smaller, sinks come first.
struct Forced {
  size_t sinks = 0;
  size_t recent = 0;
};

enum class Eviction : uint8_t {
  kOnce,      // when the prompt has been read; what is written after it stays
  kDecoding,  // after decode steps too
  kAlways     // between two steps of a prompt, too
};

// A policy made of the three. `scorer` may be null where forced tokens fill the budget (streaming,
// head tables); where they do not, the most recent of the others stay.
std::unique_ptr<const KeepPolicy> make_budgeted(ScorerPtr scorer, BudgetPtr budget, Forced forced,
                                                Eviction eviction = Eviction::kOnce);

}  // namespace fathom::kv
