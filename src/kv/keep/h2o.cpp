#include "kv/keep/h2o.h"

#include <algorithm>

#include "kv/keep/budgeted.h"

namespace fathom::kv {
namespace {

class Received final : public Scorer {
 public:
  explicit Received(ReceivedNorm norm) : norm_(norm) {}

  KeepNeeds needs() const override { return {.received = true}; }

  void score(const KeepView& view, Range, std::span<std::vector<float>> scores) const override {
    for (size_t h = 0; h < view.heads.size(); ++h) {
      const HeadView& head = view.heads[h];
      std::copy_n(view.received[h], head.tokens, scores[h].begin());
      if (norm_ == ReceivedNorm::kSum || head.tokens == 0) continue;
      const int32_t last = head.position(head.tokens - 1);
      for (size_t t = 0; t < head.tokens; ++t) {
        scores[h][t] /= static_cast<float>(last - head.position(t) + 1);
      }
    }
  }

 private:
  ReceivedNorm norm_;
};

constexpr ParameterInfo kParameters[] = {
    {"heavy", "1024", "", 0, 1e9, "heavy hitters that a kv head keeps"},
    {"recent", "1024", "", 1, 1e9, "last tokens that stay"},
    {"norm", "sum", "sum|mean", 0, 0, "attention received, or its mean over the queries"},
    {"slack", "0", "", 0, 1e6, "tokens by which a head may grow before it is cut back"},
};

}  // namespace

ScorerPtr received_scorer(ReceivedNorm norm) { return std::make_unique<Received>(norm); }

MethodInfo h2o_info() {
  return {.stage = Stage::kKeep,
          .name = "h2o",
          .summary = "the tokens that received most attention so far, and a recent window",
          .paper = "H2O, 2023, arXiv:2306.14048",
          .needs = "sums of received attention",
          .cost = "the prompt's attention weights once more; each step: one addition a kept token",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_h2o(const Parameters& p) {
  const ReceivedNorm norm = p.text("norm") == "sum" ? ReceivedNorm::kSum : ReceivedNorm::kMean;
  const size_t target = p.count("heavy") + p.count("recent");
  return make_budgeted(received_scorer(norm), even_budget(target + p.count("slack"), target),
                       {0, p.count("recent")}, Eviction::kDecoding);
}

}  // namespace fathom::kv
