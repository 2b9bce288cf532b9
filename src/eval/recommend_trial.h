// One candidate on one text: how far its predictions are from dense attention's, and how long its
// reading and its steps take.
#pragma once

#include <functional>
#include <vector>

#include "engine/engine.h"
#include "eval/cost_model.h"
#include "eval/divergence.h"
#include "eval/recommend_text.h"

namespace fathom::eval {

// Sums over scored positions.
struct TrialSums {
  double nll = 0, kl = 0, same = 0;  // nll: the candidate's less dense attention's
  size_t positions = 0;

  void add(const TokenDivergence& t);
  void add(const TrialSums& other);
  double mean_nll() const { return nll / double(positions); }
  double mean_kl() const { return kl / double(positions); }
};

// Called between steps; false ends a trial.
using GoOn = std::function<bool()>;

// What dense attention, stored as f32, predicts of a text: logits of its last positions and of the
// facts that are said again behind it.
class Reference {
 public:
  // `dense` outlives this.
  Reference(engine::Engine& dense, const Window& window);

  const Window& window() const { return window_; }
  size_t first() const { return first_; }  // scored position of the text
  // Logits that predict text token first() + 1 + i, and facts token 1 + i.
  std::span<const float> text(size_t i) const { return row(text_, i); }
  std::span<const float> facts(size_t i) const { return row(facts_, i); }
  size_t text_positions() const { return text_.size() / vocab_; }
  size_t facts_positions() const { return facts_.size() / vocab_; }
  // Nats a token by which the facts are likelier than such of which the text says nothing.
  double facts_gain(const std::vector<engine::TokenId>& foreign) const;

 private:
  std::span<const float> row(const std::vector<float>& all, size_t i) const {
    return std::span(all).subspan(i * vocab_, vocab_);
  }
  double facts_nll(const std::vector<engine::TokenId>& facts) const;

  engine::Engine& dense_;
  const Window& window_;
  size_t vocab_, first_;
  kv::SequenceCache read_;  // the text
  std::vector<float> text_, facts_;
};

// Positions of a window's text that are scored.
size_t scored_positions(const Window& window, size_t vocab);

struct Trial {
  TrialSums text, facts;
  CostModel cost;
  double density = 1;  // share of the prompt's pairs that was computed
  bool finished = false;
};
Trial run_trial(const Reference& reference, engine::Engine& candidate, const GoOn& go_on);

}  // namespace fathom::eval
