// Two engines' caches over one text, side by side: the same tokens through both, and what each
// makes of them.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "eval/divergence.h"

namespace fathom::eval {

class Lockstep {
 public:
  // Caches are fresh. Both must outlive it.
  Lockstep(const Subject& reference, const Subject& other);
  ~Lockstep();
  Lockstep(const Lockstep&) = delete;
  Lockstep& operator=(const Lockstep&) = delete;

  // A prompt, at whose end KEEP decides.
  void read(std::span<const engine::TokenId> tokens);
  // Behind a prompt, without another decision of KEEP.
  void append(std::span<const engine::TokenId> tokens);
  // Reads tokens in one step; each predicts the one at the same place of `next`.
  void score(std::span<const engine::TokenId> tokens, std::span<const engine::TokenId> next,
             std::vector<TokenDivergence>& out);

  // How many tokens both write alike, each the most likely one, behind `last`: `most` at the most.
  // Nothing but a difference ends it. The caches are left as they are.
  size_t common_prefix(engine::TokenId last, size_t most);

  // The next step is written down for recall(), or nothing is any more.
  void record(bool on);
  // Of the step behind record(): the share of the reference's weights that lies on what the other
  // read, mean over heads; and what attention lost, by head. Nothing where the reference was not
  // watched.
  std::optional<double> recall(AttentionLosses& losses) const;

  // As many tokens as 64 MiB of logits hold.
  size_t step_tokens() const;

 private:
  const Marks::Step& step(size_t which, size_t layer, size_t head) const;
  double head_mass(size_t layer, size_t head) const;
  void add_losses(size_t layer, size_t head, AttentionLosses& losses) const;

  const Subject* subjects_[2];
  engine::Runner* runners_[2];
  kv::SequenceCache caches_[2];
  size_t vocab_;
  // Of the other's stored tokens, by [layer][kv head], as they were before the step: where they lie
  // in the text, and what stands for those that are gone.
  std::vector<std::vector<size_t>> places_;
  std::vector<kv::ExtraToken> extras_;
};

}  // namespace fathom::eval
