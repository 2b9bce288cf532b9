// KEEP: which tokens of which heads stay in the cache.
//
// A policy sees a layer at once, so that it can give heads different budgets. It is asked when the
// prompt has been read; one that also evicts while decoding is asked again after every step.
// Positions travel with the tokens, so nothing is ever moved to another position.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kv/view.h"

namespace fathom::kv {

struct KeepView {
  size_t layers = 0;                   // of the model; the layer is heads[0].layer
  size_t prompt = 0;                   // tokens of the prompt
  std::span<const HeadView> heads;     // [kv heads]
  std::span<const QueryView> queries;  // [kv heads]: the last queries, at most window() of them
  // Sums of the attention that each stored token has received, [kv heads] of [tokens] each, of the
  // queries so far, averaged over the group. Empty where the policy does not ask for them.
  std::span<const float* const> received;
};

class KeepPolicy {
 public:
  virtual ~KeepPolicy() = default;
  // Last queries of the prompt that select() wants to see; 0: none.
  virtual size_t window() const = 0;
  virtual bool wants_received_attention() const { return false; }
  virtual bool evicts_while_decoding() const { return false; }
  // Fills kept[kv head] with the indices (not positions) of the tokens that stay, ascending.
  virtual void select(const KeepView& view, std::span<std::vector<int32_t>> kept) const = 0;
};

}  // namespace fathom::kv
