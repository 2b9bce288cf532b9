#include "kv/keep/reference.h"

namespace fathom::kv::test {

std::vector<std::vector<float>> scores_of(const Scorer& scorer, const KeepView& view,
                                          Scorer::Range range) {
  std::vector<std::vector<float>> scores;
  for (const HeadView& head : view.heads) scores.emplace_back(head.tokens);
  scorer.score(view, range, scores);
  return scores;
}

void expect_scored_as_reference(const ScoredCase& c) {
  const Recording& recording = recorded_layer();
  KeptLayer layer(recording, 1, c.heads);
  const KeepView& view = layer.append(recording.prompt(), c.policy->needs());
  const auto scores = scores_of(*c.scorer, view, c.range);
  std::vector<std::vector<int32_t>> kept(layer.heads());
  c.policy->select(view, kept);
  const size_t n = recording.prompt();
  const size_t rows = expected_shape(c.name + ".scores")[0];
  const size_t budget = expected_shape(c.name + ".kept").back();
  bool equal = true;
  for (size_t h = 0; h < layer.heads(); ++h) {
    SCOPED_TRACE(c.name + ", head " + std::to_string(h));
    const size_t row = rows == 1 ? 0 : h;
    const auto want = expected_score_row(c.name + ".scores", row, n);
    const size_t count = n - c.range.first - c.range.recent;
    expect_close(std::span(scores[h]).subspan(c.range.first, count),
                 std::span(want).subspan(c.range.first, count), c.scores, "score");
    equal &=
        expect_same_choice(kept[h], expected_row(c.name + ".kept", row, budget), want, c.scores);
  }
  if (!equal || c.heads == Heads::kPerQueryHead) return;
  layer.apply(*c.policy, kept);
  expect_close(decode_outputs(layer, recording.steps()), expected_floats(c.name + ".decode_out"),
               {0, 1e-5}, c.name + ".decode_out");
}

}  // namespace fathom::kv::test
