#include "kv/keep/key_diff.h"

#include "kv/keep/reference.h"

namespace fathom::kv::test {
namespace {

TEST(KeyDiff, DecidesAsKvpress) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto scorer = key_diff_scorer();
  const auto keep = make_key_diff(
      Parameters(key_diff_info(), {{"budget", "256"}, {"sinks", "0"}, {"recent", "0"}}, "test"));
  KeptLayer layer(recorded_layer(), 1);
  const KeepView& view = layer.append(2048, {});
  const auto scores = scores_of(*scorer, view, {});
  std::vector<std::vector<int32_t>> kept(4);
  keep->select(view, kept);
  for (size_t h = 0; h < 4; ++h) {
    SCOPED_TRACE(h);
    const auto want = expected_score_row("keydiff.scores", h, 2048);
    expect_close(scores[h], want, {0, 1e-5}, "score");
    expect_same_choice(kept[h], expected_row("keydiff.kept", h, 256), want, {0, 1e-5});
  }
}

}  // namespace
}  // namespace fathom::kv::test
