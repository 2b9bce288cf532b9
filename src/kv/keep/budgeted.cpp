#include "kv/keep/budgeted.h"

#include <algorithm>
#include <numeric>

#include "kv/top_k.h"

namespace fathom::kv {
namespace {

class Recency final : public Scorer {
 public:
  void score(const KeepView&, Range, std::span<std::vector<float>> scores) const override {
    for (std::vector<float>& head : scores) std::iota(head.begin(), head.end(), 0.0f);
  }
};

class Budgeted final : public KeepPolicy {
 public:
  Budgeted(ScorerPtr scorer, BudgetPtr budget, Forced forced, Eviction eviction)
      : scorer_(scorer ? std::move(scorer) : std::make_unique<Recency>()),
        budget_(std::move(budget)),
        forced_(forced),
        eviction_(eviction) {}

  KeepNeeds needs() const override { return scorer_->needs(); }
  bool evicts_while_decoding() const override { return eviction_ != Eviction::kOnce; }
  bool evicts_while_reading() const override { return eviction_ == Eviction::kAlways; }

  void select(const KeepView& view, std::span<std::vector<int32_t>> kept) const override {
    const size_t heads = view.heads.size();
    if (everything_fits(view)) {
      for (size_t h = 0; h < heads; ++h) {
        kept[h].resize(view.heads[h].tokens);
        std::iota(kept[h].begin(), kept[h].end(), 0);
      }
      return;
    }
    std::vector<std::vector<float>> scores(heads);
    for (size_t h = 0; h < heads; ++h) scores[h].resize(view.heads[h].tokens);
    scorer_->score(view, {forced_.sinks, forced_.recent}, scores);

    std::vector<Candidates> candidates(heads);
    std::vector<Forced> forced(heads);
    for (size_t h = 0; h < heads; ++h) {
      forced[h] = cut(view.heads[h].tokens, budget_->head_limit(view, h));
      candidates[h] = {view.heads[h].tokens, forced[h].sinks + forced[h].recent,
                       middle(scores[h], forced[h])};
    }
    std::vector<size_t> budgets(heads);
    budget_->share(view, candidates, budgets);
    TopK best;
    for (size_t h = 0; h < heads; ++h) {
      kept[h].clear();
      const Candidates& c = candidates[h];
      for (size_t i = 0; i < forced[h].sinks; ++i) kept[h].push_back(static_cast<int32_t>(i));
      best.append(c.scores, budgets[h] - std::min(budgets[h], c.forced),
                  static_cast<int32_t>(forced[h].sinks), kept[h]);
      for (size_t i = c.tokens - forced[h].recent; i < c.tokens; ++i) {
        kept[h].push_back(static_cast<int32_t>(i));
      }
    }
  }

 private:
  bool everything_fits(const KeepView& view) const {
    for (size_t h = 0; h < view.heads.size(); ++h) {
      if (view.heads[h].tokens > budget_->head_limit(view, h)) return false;
    }
    return true;
  }

  Forced cut(size_t tokens, size_t limit) const {
    const size_t room = std::min(tokens, limit);
    const size_t sinks = std::min(forced_.sinks, room);
    return {sinks, std::min(forced_.recent, room - sinks)};
  }

  static std::span<const float> middle(const std::vector<float>& scores, Forced forced) {
    return std::span(scores).subspan(forced.sinks, scores.size() - forced.sinks - forced.recent);
  }

  ScorerPtr scorer_;
  BudgetPtr budget_;
  Forced forced_;
  Eviction eviction_;
};

}  // namespace

std::unique_ptr<const KeepPolicy> make_budgeted(ScorerPtr scorer, BudgetPtr budget, Forced forced,
                                                Eviction eviction) {
  return std::make_unique<Budgeted>(std::move(scorer), std::move(budget), forced, eviction);
}

}  // namespace fathom::kv
