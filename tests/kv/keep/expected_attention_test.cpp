#include "kv/keep/expected_attention.h"

#include "kv/keep/reference.h"

namespace fathom::kv::test {
namespace {

// Statistics of the whole prompt, as kvpress takes them.
ExpectedAttentionOptions all_queries(float epsilon) { return {1u << 20, 4, 512, epsilon}; }

void expect_as_kvpress(const std::string& name, float epsilon) {
  const auto scorer = expected_attention_scorer(all_queries(epsilon));
  const auto keep = make_expected_attention(Parameters(expected_attention_info(),
                                                       {{"budget", "256"},
                                                        {"window", "1000000"},
                                                        {"recent", "0"},
                                                        {"eps", epsilon > 0 ? "0.01" : "0"}},
                                                       "test"));
  KeptLayer layer(recorded_layer(), 1);
  const KeepView& view = layer.append(2048, keep->needs());
  const auto scores = scores_of(*scorer, view, {4, 0});
  std::vector<std::vector<int32_t>> kept(4);
  keep->select(view, kept);
  bool equal = true;
  for (size_t h = 0; h < 4; ++h) {
    SCOPED_TRACE(name + ", head " + std::to_string(h));
    const auto want = expected_score_row(name + ".scores", h, 2048);
    expect_close(std::span(scores[h]).subspan(4), std::span(want).subspan(4), {5e-5, 1e-6},
                 "score");
    equal &= expect_same_choice(kept[h], expected_row(name + ".kept", h, 256), want, {5e-5, 1e-6});
  }
  if (!equal || epsilon > 0) return;
  layer.apply(*keep, kept);
  expect_close(decode_outputs(layer, 8), expected_floats(name + ".decode_out"), {0, 1e-5}, name);
}

TEST(ExpectedAttention, DecidesAsKvpress) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  expect_as_kvpress("expected_attention.eps0", 0.0f);
  expect_as_kvpress("expected_attention.eps1e-2", 0.01f);
}

TEST(ExpectedAttention, StatisticsAreKvpress) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  KeptLayer layer(recorded_layer(), 1);
  const KeepView& view = layer.append(2048, {.window = 2048, .unrotated = true});
  for (size_t h = 0; h < 8; ++h) {
    const auto s = query_statistics(view.heads[h / 2], view.queries[h / 2], h % 2, all_queries(0));
    expect_close(s.mean, expected_score_row("expected_attention.mu", h, 32), {0, 1e-4}, "mean");
    expect_close(s.covariance, expected_score_row("expected_attention.cov", h, 1024), {0, 1e-4},
                 "covariance");
  }
}

}  // namespace
}  // namespace fathom::kv::test
