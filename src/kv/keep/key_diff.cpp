#include "kv/keep/key_diff.h"

#include <algorithm>

#include "kv/keep/budgeted.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

constexpr float kTiny = 1e-8f;  // no key is divided by less

class KeyDiff final : public Scorer {
 public:
  void score(const KeepView& view, Range, std::span<std::vector<float>> scores) const override {
    for (size_t h = 0; h < view.heads.size(); ++h) score(view.heads[h], scores[h]);
  }

 private:
  static void score(const HeadView& head, std::vector<float>& scores) {
    std::vector<float> anchor(head.head_dim);
    for (size_t t = 0; t < head.tokens; ++t) {
      scores[t] = 1.0f / std::max(norm(head.key(t), head.head_dim), kTiny);
      add_scaled(scores[t], head.key(t), head.head_dim, anchor.data());
    }
    normalize(anchor.data(), head.head_dim);
    for (size_t t = 0; t < head.tokens; ++t) {
      scores[t] *= -dot(head.key(t), anchor.data(), head.head_dim);
    }
  }
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "2048", "", 1, 1e9, "tokens that a kv head keeps"},
    {"sinks", "4", "", 0, 1e6, "first tokens that stay"},
    {"recent", "64", "", 0, 1e9, "last tokens of the prompt that stay"},
};

}  // namespace

ScorerPtr key_diff_scorer() { return std::make_unique<KeyDiff>(); }

MethodInfo key_diff_info() {
  return {.stage = Stage::kKeep,
          .name = "keydiff",
          .summary = "the tokens whose keys differ most from the average key",
          .paper = "KeyDiff, 2025, arXiv:2504.15364",
          .cost = "once: 3 * tokens * head_dim multiply-adds a kv head",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_key_diff(const Parameters& p) {
  return make_budgeted(key_diff_scorer(), even_budget(p.count("budget")),
                       {p.count("sinks"), p.count("recent")});
}

}  // namespace fathom::kv
