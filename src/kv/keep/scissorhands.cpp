#include "kv/keep/scissorhands.h"

#include <algorithm>

#include "kv/attention_rows.h"
#include "kv/keep/budgeted.h"

namespace fathom::kv {
namespace {

class Scissorhands final : public Scorer {
 public:
  explicit Scissorhands(size_t window) : window_(window) {}

  KeepNeeds needs() const override { return {.window = window_}; }

  void score(const KeepView& view, Range, std::span<std::vector<float>> scores) const override {
    for (size_t h = 0; h < view.heads.size(); ++h) {
      score(view.heads[h], view.queries[h], scores[h]);
    }
  }

 private:
  static void score(const HeadView& head, const QueryView& queries, std::vector<float>& scores) {
    std::vector<float> sums(head.tokens);
    std::fill(scores.begin(), scores.end(), 0.0f);
    for_each_weights_row(head, queries, [&](size_t g, size_t, std::span<const float> weights) {
      for (size_t t = 0; t < weights.size(); ++t) sums[t] += weights[t];
      if (g + 1 < queries.group) return;
      const float uniform = static_cast<float>(queries.group) / static_cast<float>(weights.size());
      for (size_t t = 0; t < weights.size(); ++t) scores[t] -= sums[t] < uniform;
      std::fill(sums.begin(), sums.end(), 0.0f);
    });
    const float step = 0.5f / static_cast<float>(std::max<size_t>(head.tokens, 1));
    for (size_t t = 0; t < head.tokens; ++t) scores[t] += static_cast<float>(t) * step;
  }

  size_t window_;
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "2048", "", 2, 1e9, "tokens up to which a kv head grows"},
    {"drop", "0.5", "", 0, 1, "share of the budget that is dropped at once"},
    {"window", "400", "", 1, 4096, "last queries that count"},
    {"sinks", "4", "", 0, 1e6, "first tokens that stay"},
    {"recent", "10", "", 1, 1e9, "last tokens that stay"},
};

}  // namespace

ScorerPtr scissorhands_scorer(size_t window) { return std::make_unique<Scissorhands>(window); }

MethodInfo scissorhands_info() {
  return {.stage = Stage::kKeep,
          .name = "scissorhands",
          .summary = "drops in bulk what was below average attention most often of late",
          .paper = "unchecked: Scissorhands, 2023, arXiv:2305.17118",
          .needs = "the last queries",
          .cost = "each drop: window * tokens * head_dim multiply-adds a query head",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_scissorhands(const Parameters& p) {
  const size_t budget = p.count("budget");
  const auto dropped = static_cast<size_t>(static_cast<double>(budget) * p.number("drop"));
  return make_budgeted(scissorhands_scorer(p.count("window")),
                       even_budget(budget, std::max<size_t>(budget - dropped, 1)),
                       {p.count("sinks"), p.count("recent")}, Eviction::kDecoding);
}

}  // namespace fathom::kv
