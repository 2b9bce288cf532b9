// KEEP: which tokens of which heads stay in the cache.
//
// A policy sees a layer at once, so that it can give heads different budgets. It is asked when the
// prompt has been read; one that also evicts while decoding is asked again after steps.
// Positions travel with the tokens, so nothing is ever moved to another position. Policies are
// immutable: select() may run for many layers in parallel.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kv/view.h"

namespace fathom::kv {

struct KeepView {
  size_t layers = 0;                        // of the model; the layer is heads[0].layer
  size_t prompt = 0;                        // tokens of the prompt
  std::span<const HeadView> heads = {};     // [kv heads], values included
  std::span<const QueryView> queries = {};  // [kv heads]: the last queries, at most needs().window
  // Sums of the attention that each stored token has received, [kv heads] of [tokens] each, of the
  // queries so far, averaged over the group. Empty where the policy does not ask for them.
  std::span<const float* const> received = {};
};

// What select() reads beside keys and values. The engine asks once, when it loads the policy.
struct KeepNeeds {
  size_t window = 0;       // last queries, of the prompt or of what was written since
  bool received = false;   // KeepView::received
  bool unrotated = false;  // HeadView::rope, QueryView::q_unrotated
  bool surprise = false;   // HeadView::text->surprise
};

// What evicted tokens leave behind in one kv head, for policies that do not just drop them.
struct Folded {
  std::vector<float> v;  // [kept][head_dim]: the survivors' new values; empty: as they were
  // One more token that stands for `count` evicted ones: log(count) is added to its logit. No
  // position; empty where count is 0. Extra tokens of earlier calls are joined with it.
  std::vector<float> extra_k, extra_v;  // [head_dim]
  size_t count = 0;
};

class KeepPolicy {
 public:
  virtual ~KeepPolicy() = default;
  virtual KeepNeeds needs() const { return {}; }
  virtual bool evicts_while_decoding() const { return false; }
  // Also between two steps of a prompt, so that no text is too long; what is kept then depends on
  // how the prompt is cut.
  virtual bool evicts_while_reading() const { return false; }
  // Where it evicts at all times: tokens that it leaves of a head at most, so that the cache is
  // bounded however long the text; 0: there is no such number.
  virtual size_t bound() const { return 0; }
  // The first so many tokens of a head are seen right before the others that are left, as if what
  // was dropped between had never been: their keys are rotated there. REQUIRES: they always stay.
  virtual size_t moving_sinks() const { return 0; }
  // Fills kept[kv head] with the indices (not positions) of the tokens that stay, ascending.
  virtual void select(const KeepView& view, std::span<std::vector<int32_t>> kept) const = 0;

  // Whether fold() does anything.
  virtual bool folds() const { return false; }
  // Whether Folded::count may be other than 0.
  virtual bool leaves_extra_token() const { return false; }
  // What becomes of the tokens of one kv head that are not among `kept`, which select() returned.
  virtual Folded fold(const HeadView& head, std::span<const int32_t> kept) const;
};

inline Folded KeepPolicy::fold(const HeadView&, std::span<const int32_t>) const { return {}; }

}  // namespace fathom::kv
