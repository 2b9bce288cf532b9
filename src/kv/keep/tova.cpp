#include "kv/keep/tova.h"

#include <algorithm>

#include "kv/attention_rows.h"
#include "kv/keep/budgeted.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

QueryView last_query(QueryView queries) {
  const size_t before = queries.tokens - std::min<size_t>(queries.tokens, 1);
  queries.q += before * queries.stride;
  queries.first += before;
  queries.tokens -= before;
  return queries;
}

bool same_tokens(std::span<const HeadView> heads) {
  for (const HeadView& head : heads) {
    if (head.tokens != heads[0].tokens) return false;
    for (size_t t = 0; t < head.tokens; ++t) {
      if (head.position(t) != heads[0].position(t)) return false;
    }
  }
  return true;
}

class Tova final : public Scorer {
 public:
  KeepNeeds needs() const override { return {.window = 1}; }

  void score(const KeepView& view, Range, std::span<std::vector<float>> scores) const override {
    const size_t heads = view.heads.size();
    for (size_t h = 0; h < heads; ++h) {
      received_attention(view.heads[h], last_query(view.queries[h]), scores[h]);
    }
    if (!same_tokens(view.heads)) return;
    for (size_t h = 1; h < heads; ++h) {
      add_scaled(1.0f, scores[h].data(), scores[h].size(), scores[0].data());
    }
    for (float& s : scores[0]) s /= static_cast<float>(heads);
    for (size_t h = 1; h < heads; ++h) scores[h] = scores[0];
  }
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "2048", "", 1, 1e9, "tokens that a kv head keeps"},
    {"sinks", "0", "", 0, 1e6, "first tokens that stay"},
    {"recent", "1", "", 1, 1e9, "last tokens that stay"},
};

}  // namespace

ScorerPtr tova_scorer() { return std::make_unique<Tova>(); }

MethodInfo tova_info() {
  return {.stage = Stage::kKeep,
          .name = "tova",
          .summary = "the token that the last query attends to least goes, at every step",
          .paper = "Transformers are Multi-State RNNs, 2024, arXiv:2401.06104",
          .needs = "the last query",
          .cost = "each step: budget * head_dim multiply-adds a query head",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_tova(const Parameters& p) {
  return make_budgeted(tova_scorer(), even_budget(p.count("budget")),
                       {p.count("sinks"), p.count("recent")}, Eviction::kDecoding);
}

}  // namespace fathom::kv
