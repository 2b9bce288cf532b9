#include "kv/keep/adakv.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kv/keep/scorers.h"
#include "kv/top_k.h"

namespace fathom::kv {
namespace {

float sum_of(std::span<const float> scores) {
  return static_cast<float>(std::accumulate(scores.begin(), scores.end(), 0.0));
}

class AdaptiveBudget final : public Budget {
 public:
  AdaptiveBudget(BudgetPtr even, AdaOptions options) : even_(std::move(even)), options_(options) {}

  size_t head_limit(const KeepView& view, size_t kv_head) const override {
    return even_->head_limit(view, kv_head);
  }

  void share(const KeepView& view, std::span<const Candidates> heads,
             std::span<size_t> tokens) const override {
    even_->share(view, heads, tokens);
    std::vector<size_t> open(heads.size());  // even budget beside forced tokens
    for (size_t h = 0; h < heads.size(); ++h) open[h] = tokens[h] - heads[h].forced;
    if (options_.rule == AdaRule::kAuthors) {
      by_counts(heads, open, tokens);
    } else {
      by_top_up(heads, open, tokens);
    }
  }

 private:
  // One contiguous row of all heads' scores, and where each head begins.
  struct Joint {
    std::vector<float> scores;
    std::vector<size_t> begin;
  };
  Joint joint(std::span<const Candidates> heads, std::span<const size_t> open) const {
    Joint all;
    for (size_t h = 0; h < heads.size(); ++h) {
      all.begin.push_back(all.scores.size());
      const std::span<const float> s = heads[h].scores;
      const float scale = concentration(s, open[h]);
      for (const float x : s) all.scores.push_back(x * scale);
    }
    all.begin.push_back(all.scores.size());
    return all;
  }
  float concentration(std::span<const float> scores, size_t best) const {
    if (options_.scale == AdaOptions::Scale::kNone) return 1.0f;
    float held = 0;
    for (const int32_t t : top_k(scores, best)) held += scores[t];
    const float all = sum_of(scores);
    return all > 0 ? held / all : 1.0f;
  }
  static std::vector<size_t> count_best(const Joint& all, size_t k) {
    std::vector<size_t> counts(all.begin.size() - 1);
    size_t h = 0;
    for (const int32_t i : top_k(all.scores, k)) {
      while (static_cast<size_t>(i) >= all.begin[h + 1]) ++h;
      ++counts[h];
    }
    return counts;
  }

  void by_counts(std::span<const Candidates> heads, std::span<const size_t> open,
                 std::span<size_t> tokens) const {
    const size_t total = std::accumulate(open.begin(), open.end(), size_t{0});
    const std::vector<size_t> counts = count_best(joint(heads, open), total);
    size_t left = total;
    for (size_t h = 0; h < heads.size(); ++h) {
      const auto floor =
          static_cast<float>(std::floor(options_.floor * static_cast<double>(open[h])));
      const float wish = static_cast<float>(counts[h]) * static_cast<float>(1 - options_.floor);
      const auto rounded = static_cast<size_t>(std::nearbyint(wish + floor));
      const size_t given = std::min({rounded, left, heads[h].scores.size()});
      tokens[h] = heads[h].forced + given;
      left -= given;
    }
  }

  void by_top_up(std::span<const Candidates> heads, std::span<const size_t> open,
                 std::span<size_t> tokens) const {
    Joint all = joint(heads, open);
    size_t total = std::accumulate(open.begin(), open.end(), size_t{0});
    for (size_t h = 0; h < heads.size(); ++h) {
      const double even = static_cast<double>(open[h] + heads[h].forced);
      const auto safe = static_cast<size_t>(even * options_.floor);
      const size_t own = safe - std::min(safe, heads[h].forced);
      tokens[h] = heads[h].forced + own;
      total -= own;
      const std::span<float> scores = std::span(all.scores).subspan(all.begin[h]);
      for (const int32_t t : top_k(heads[h].scores, own)) scores[t] = -INFINITY;
    }
    const std::vector<size_t> counts = count_best(all, total);
    for (size_t h = 0; h < heads.size(); ++h) tokens[h] += counts[h];
  }

  BudgetPtr even_;
  AdaOptions options_;
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "2048", "", 1, 1e9, "tokens that a kv head keeps on average"},
    {"floor", "0.2", "", 0, 1, "share of it that every head gets"},
    {"rule", "topup", "topup|authors", 0, 0, "as kvpress or as the authors divide"},
    {"scale", "none", "none|concentration", 0, 0, "whether concentrated heads' scores weigh more"},
    FATHOM_SCORER_PARAMETERS,
};

}  // namespace

BudgetPtr adaptive_budget(BudgetPtr even, AdaOptions options) {
  return std::make_unique<AdaptiveBudget>(std::move(even), options);
}

MethodInfo adakv_info() {
  return {.stage = Stage::kKeep,
          .name = "adakv",
          .summary = "any scorer, a layer's tokens shared among its heads by their scores",
          .paper = "Ada-KV, 2024, arXiv:2407.11550",
          .needs = "what its scorer needs",
          .cost = "once: the scorer's, and a selection over tokens * kv heads",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_adakv(const Parameters& p) {
  AdaOptions options;
  options.floor = p.number("floor");
  options.rule = p.text("rule") == "authors" ? AdaRule::kAuthors : AdaRule::kTopUp;
  const bool scaled = p.text("scale") == "concentration";
  if (scaled) options.scale = AdaOptions::Scale::kConcentration;
  return make_budgeted(make_scorer(p), adaptive_budget(even_budget(p.count("budget")), options),
                       forced_tokens(p));
}

}  // namespace fathom::kv
