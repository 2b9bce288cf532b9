#include "kv/keep/sirllm.h"

#include "base/error.h"
#include "kv/keep/budgeted.h"

namespace fathom::kv {
namespace {

class Surprise final : public Scorer {
 public:
  KeepNeeds needs() const override { return {.surprise = true}; }

  void score(const KeepView& view, Range, std::span<std::vector<float>> scores) const override {
    for (size_t h = 0; h < view.heads.size(); ++h) {
      const HeadView& head = view.heads[h];
      FATHOM_CHECK(head.text != nullptr);
      const std::span<const float> surprise = head.text->surprise;
      for (size_t t = 0; t < head.tokens; ++t) {
        const auto position = static_cast<size_t>(head.position(t));
        scores[h][t] = position < surprise.size() ? surprise[position] : 0.0f;
      }
    }
  }
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "2048", "", 1, 1e9, "tokens that a kv head keeps"},
    {"sinks", "4", "", 0, 1e6, "first tokens that stay"},
    {"recent", "1020", "", 0, 1e9, "last tokens that stay"},
};

}  // namespace

ScorerPtr surprise_scorer() { return std::make_unique<Surprise>(); }

MethodInfo sirllm_info() {
  return {.stage = Stage::kKeep,
          .name = "sirllm",
          .summary = "sinks, a recent window and the tokens that surprised the model",
          .paper = "unchecked: SirLLM, 2024, arXiv:2405.12528",
          .needs = "the surprise of every token (logits of the whole prompt)",
          .cost = "none beside the prompt's logits",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_sirllm(const Parameters& p) {
  return make_budgeted(surprise_scorer(), even_budget(p.count("budget")),
                       {p.count("sinks"), p.count("recent")}, Eviction::kDecoding);
}

}  // namespace fathom::kv
