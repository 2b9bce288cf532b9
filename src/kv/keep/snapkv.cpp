#include "kv/keep/snapkv.h"

#include <algorithm>

#include "base/error.h"
#include "kv/attention_rows.h"
#include "kv/keep/budgeted.h"

namespace fathom::kv {
namespace {

class SnapKv final : public Scorer {
 public:
  explicit SnapKv(SnapKvOptions options) : options_(options) {}

  KeepNeeds needs() const override { return {.window = options_.window}; }

  void score(const KeepView& view, Range range,
             std::span<std::vector<float>> scores) const override {
    for (size_t h = 0; h < view.heads.size(); ++h) {
      const QueryView& queries = view.queries[h];
      std::vector<float>& s = scores[h];
      received_attention(view.heads[h], queries, s);
      const float share = 1.0f / static_cast<float>(std::max<size_t>(queries.tokens, 1));
      for (float& x : s) x *= share;
      const size_t recent = std::min(std::max(range.recent, queries.tokens), s.size());
      pool(options_.pooling, options_.kernel, std::span(s).first(s.size() - recent));
    }
  }

 private:
  SnapKvOptions options_;
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "2048", "", 1, 1e9, "tokens that a kv head keeps, window included"},
    {"window", "32", "", 1, 4096, "last queries that vote; they stay"},
    {"pool", "max", "avg|max", 0, 0, "how scores are smoothed along the text"},
    {"kernel", "7", "", 1, 255, "tokens that are smoothed over, odd"},
    {"sinks", "0", "", 0, 1e6, "first tokens that stay"},
};

}  // namespace

Pooling pooling_of(std::string_view name) {
  return name == "avg" ? Pooling::kAverage : Pooling::kMax;
}

ScorerPtr snapkv_scorer(SnapKvOptions options) {
  if (options.kernel % 2 == 0) {
    throw with_hint(usage_error("--kv", "'kernel' cannot be '{}'", options.kernel),
                    "an odd number, so that a token is in the middle of its neighbours");
  }
  return std::make_unique<SnapKv>(options);
}

MethodInfo snapkv_info() {
  return {.stage = Stage::kKeep,
          .name = "snapkv",
          .summary = "the tokens that the prompt's last queries attend to",
          .paper = "SnapKV, 2024, arXiv:2404.14469",
          .needs = "the prompt's last queries",
          .cost = "once: window * tokens * head_dim multiply-adds a query head",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_snapkv(const Parameters& p) {
  const SnapKvOptions options{p.count("window"), pooling_of(p.text("pool")), p.count("kernel")};
  return make_budgeted(snapkv_scorer(options), even_budget(p.count("budget")),
                       {p.count("sinks"), options.window});
}

}  // namespace fathom::kv
