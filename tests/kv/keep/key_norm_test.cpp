#include "kv/keep/key_norm.h"

#include "kv/keep/reference.h"

namespace fathom::kv::test {
namespace {

TEST(KeyNorm, DecidesAsKvpress) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto scorer = key_norm_scorer();
  const auto keep = make_key_norm(
      Parameters(key_norm_info(), {{"budget", "256"}, {"sinks", "0"}, {"recent", "0"}}, "test"));
  KeptLayer layer(recorded_layer(), 1);
  const KeepView& view = layer.append(2048, {});
  const auto scores = scores_of(*scorer, view, {});
  std::vector<std::vector<int32_t>> kept(4);
  keep->select(view, kept);
  for (size_t h = 0; h < 4; ++h) {
    SCOPED_TRACE(h);
    const auto want = expected_score_row("knorm.scores", h, 2048);
    expect_close(scores[h], want, {1e-5, 0}, "score");
    expect_same_choice(kept[h], expected_row("knorm.kept", h, 256), want, {1e-5, 0});
  }
}

}  // namespace
}  // namespace fathom::kv::test
