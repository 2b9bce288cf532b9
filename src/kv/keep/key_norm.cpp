#include "kv/keep/key_norm.h"

#include "kv/keep/budgeted.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

class KeyNorm final : public Scorer {
 public:
  void score(const KeepView& view, Range, std::span<std::vector<float>> scores) const override {
    for (size_t h = 0; h < view.heads.size(); ++h) {
      const HeadView& head = view.heads[h];
      for (size_t t = 0; t < head.tokens; ++t) scores[h][t] = -norm(head.key(t), head.head_dim);
    }
  }
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "2048", "", 1, 1e9, "tokens that a kv head keeps"},
    {"sinks", "4", "", 0, 1e6, "first tokens that stay; the paper has none"},
    {"recent", "64", "", 0, 1e9, "last tokens of the prompt that stay; the paper has none"},
};

}  // namespace

ScorerPtr key_norm_scorer() { return std::make_unique<KeyNorm>(); }

MethodInfo key_norm_info() {
  return {.stage = Stage::kKeep,
          .name = "knorm",
          .summary = "the tokens with the smallest keys",
          .paper =
              "A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression, 2024, "
              "arXiv:2406.11430",
          .cost = "once: tokens * head_dim multiply-adds a kv head",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_key_norm(const Parameters& p) {
  return make_budgeted(key_norm_scorer(), even_budget(p.count("budget")),
                       {p.count("sinks"), p.count("recent")});
}

}  // namespace fathom::kv
