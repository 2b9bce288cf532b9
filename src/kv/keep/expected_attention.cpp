#include "kv/keep/expected_attention.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kv/attention_rows.h"
#include "kv/keep/budgeted.h"
#include "kv/rope.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

// Sums in double: a covariance is a small difference that scores then exponentiate.
struct Moments {
  std::vector<double> mean, covariance;
  size_t count = 0;
};

template <class Row>
void for_each_query(const HeadView& head, const QueryView& queries, size_t group_head,
                    size_t skipped, Row row) {
  for (size_t t = 0; t < queries.tokens; ++t) {
    if (queries.first + t < skipped) continue;
    row(queries.row_unrotated(t, group_head, head.head_dim));
  }
}

Moments moments(const HeadView& head, const QueryView& queries, size_t group_head, size_t skipped) {
  const size_t d = head.head_dim;
  Moments m{std::vector<double>(d), std::vector<double>(d * d), 0};
  for_each_query(head, queries, group_head, skipped, [&](const float* q) {
    for (size_t i = 0; i < d; ++i) m.mean[i] += static_cast<double>(q[i]);
    ++m.count;
  });
  const double share = 1.0 / static_cast<double>(std::max<size_t>(m.count, 1));
  for (double& x : m.mean) x *= share;
  std::vector<double> centred(d);
  for_each_query(head, queries, group_head, skipped, [&](const float* q) {
    for (size_t i = 0; i < d; ++i) centred[i] = static_cast<double>(q[i]) - m.mean[i];
    for (size_t i = 0; i < d; ++i) {
      const double x = centred[i] * share;
      double* row = m.covariance.data() + i * d;
      for (size_t j = 0; j < d; ++j) row[j] += x * centred[j];
    }
  });
  return m;
}

// ln of the expected e^score of a normal score with this mean and variance; with a soft cap by
// Gauss and Hermite's rule of seven points.
float expected_score(const HeadView& head, float mean, float variance) {
  if (head.soft_cap == 0) return mean + variance / 2;
  constexpr float kPoints[] = {0.0f, 1.1544054f, 2.3667594f, 3.7504397f};
  constexpr float kWeights[] = {0.45714286f, 0.24012318f, 0.030757124f, 0.00054826886f};
  const float cap = head.soft_cap, deviation = std::sqrt(std::max(variance, 0.0f));
  const auto score = [&](float point) { return cap * std::tanh((mean + deviation * point) / cap); };
  const float top = score(kPoints[3]);
  float sum = 0;
  for (size_t i = 0; i < std::size(kPoints); ++i) {
    for (const float side : {-1.0f, 1.0f}) {
      if (i == 0 && side < 0) continue;  // the middle counts once
      sum += kWeights[i] * std::exp(score(side * kPoints[i]) - top);
    }
  }
  return top + std::log(sum);
}

// One query head's softmax over the tokens from `first`, added to out[first...].
void add_expected(const HeadView& head, const QueryStatistics& s, size_t first,
                  std::span<float> scratch, std::span<float> out) {
  const size_t d = head.head_dim;
  std::vector<float> product(d);
  for (size_t t = first; t < head.tokens; ++t) {
    const float* k = head.key(t);
    std::fill(product.begin(), product.end(), 0.0f);
    for (size_t i = 0; i < d; ++i) {
      add_scaled(k[i], s.covariance.data() + i * d, d, product.data());
    }
    const float spread = dot(product.data(), k, d) * head.scale * head.scale;
    const float mean = dot(s.mean.data(), k, d) * head.scale;
    scratch[t] = expected_score(head, mean, spread);
  }
  const std::span<float> weights = scratch.subspan(first);
  softmax(weights);
  add_scaled(1.0f, weights.data(), weights.size(), out.data() + first);
}

class ExpectedAttention final : public Scorer {
 public:
  explicit ExpectedAttention(ExpectedAttentionOptions options) : options_(options) {}

  KeepNeeds needs() const override { return {.window = options_.window, .unrotated = true}; }

  void score(const KeepView& view, Range, std::span<std::vector<float>> scores) const override {
    for (size_t h = 0; h < view.heads.size(); ++h) {
      score(view.heads[h], view.queries[h], scores[h]);
    }
  }

 private:
  void score(const HeadView& head, const QueryView& queries, std::span<float> out) const {
    const size_t first = std::min(tokens_before(head, options_.skipped), head.tokens);
    // What the query after the prompt no longer sees, none after it will.
    const size_t seen =
        std::clamp(tokens_behind(head, queries.first + queries.tokens), first, head.tokens);
    std::vector<float> scratch(head.tokens);
    std::fill(out.begin(), out.end(), 0.0f);
    for (size_t g = 0; g < queries.group; ++g) {
      add_expected(head, query_statistics(head, queries, g, options_), seen, scratch, out);
    }
    float most = 0;
    for (size_t t = seen; t < head.tokens; ++t) {
      const float mean = out[t] / static_cast<float>(queries.group);
      out[t] = (mean + options_.epsilon) * norm(head.value(t), head.head_dim);
      most = std::max(most, out[t]);
    }
    std::fill_n(out.begin(), first, most);  // never worse than the best
  }

  static size_t tokens_before(const HeadView& head, size_t position) {
    size_t t = 0;
    while (t < head.tokens && static_cast<size_t>(head.position(t)) < position) ++t;
    return t;
  }

  ExpectedAttentionOptions options_;
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "2048", "", 1, 1e9, "tokens that a kv head keeps"},
    {"eps", "0.01", "", 0, 1, "added to the expected attention before values' norms count"},
    {"window", "1024", "", 1, 1e6, "last queries that statistics are taken from"},
    {"future", "512", "", 1, 1e6, "positions that queries are expected from"},
    {"sinks", "4", "", 0, 1e6, "first tokens that stay and do not count"},
    {"recent", "64", "", 0, 1e9, "last tokens of the prompt that stay; the paper has none"},
};

}  // namespace

QueryStatistics query_statistics(const HeadView& head, const QueryView& queries, size_t group_head,
                                 const ExpectedAttentionOptions& options) {
  FATHOM_CHECK(head.rope != nullptr && queries.q_unrotated != nullptr);
  const size_t d = head.head_dim;
  Moments m = moments(head, queries, group_head, options.skipped);
  const Rotation rotation(*head.rope, queries.first + queries.tokens, options.future);
  rotation.apply(m.mean.data(), 1);
  for (size_t i = 0; i < d; ++i) rotation.apply(m.covariance.data() + i * d, 1);
  for (size_t j = 0; j < d; ++j) rotation.apply(m.covariance.data() + j, d);
  return {{m.mean.begin(), m.mean.end()}, {m.covariance.begin(), m.covariance.end()}};
}

ScorerPtr expected_attention_scorer(ExpectedAttentionOptions options) {
  return std::make_unique<ExpectedAttention>(options);
}

MethodInfo expected_attention_info() {
  return {.stage = Stage::kKeep,
          .name = "expected",
          .summary = "the tokens that queries yet to come can be expected to attend to",
          .paper = "Expected Attention, 2025, arXiv:2510.00636",
          .needs = "unrotated queries",
          .cost = "once: tokens * head_dim^2 multiply-adds a query head",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_expected_attention(const Parameters& p) {
  const ExpectedAttentionOptions options{p.count("window"), p.count("sinks"), p.count("future"),
                                         static_cast<float>(p.number("eps"))};
  return make_budgeted(expected_attention_scorer(options), even_budget(p.count("budget")),
                       {p.count("sinks"), p.count("recent")});
}

}  // namespace fathom::kv
