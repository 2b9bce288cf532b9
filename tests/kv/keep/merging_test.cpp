#include "kv/keep/merging.h"

#include "kv/keep/reference.h"
#include "kv/keep/snapkv.h"

namespace fathom::kv::test {
namespace {

std::unique_ptr<const KeepPolicy> snapkv() {
  return make_budgeted(snapkv_scorer({32, Pooling::kAverage, 5}), even_budget(256), {0, 32});
}

TEST(Merging, MergesAsKvpress) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto keep = make_merging(snapkv(), {0.0f, 0});
  KeptLayer layer(recorded_layer(), 1);
  const KeepView& view = layer.append(2048, keep->needs());
  std::vector<std::vector<int32_t>> kept(4);
  keep->select(view, kept);
  const auto evicted = expected_integers("merging.evicted");
  const auto target = expected_integers("merging.target");
  const auto similarity = expected_floats("merging.similarity");
  for (size_t h = 0; h < 4; ++h) {
    SCOPED_TRACE(h);
    const auto merges = merge_targets(view.heads[h], kept[h], 0);
    ASSERT_EQ(merges.size(), 1792u);
    for (size_t i = 0; i < 1792; ++i) {
      const size_t at = h * 1792 + i;
      ASSERT_EQ(merges[i].token, evicted[at]);
      EXPECT_NEAR(merges[i].cosine, similarity[at], 1e-5);
      EXPECT_EQ(kept[h][size_t(merges[i].target)], target[at]) << "of " << merges[i].token;
    }
    expect_close(keep->fold(view.heads[h], kept[h]).v,
                 expected_score_row("merging.values", h, 256 * 32), {0, 1e-4}, "values");
  }
  layer.apply(*keep, kept);
  expect_close(decode_outputs(layer, 8), expected_floats("merging.decode_out"), {0, 1e-4},
               "decode_out");
}

struct Three {  // tokens 0 and 2 are twins; 1 is orthogonal
  std::vector<float> k{1, 0, 0, 1, 2, 0}, v{1, 1, 2, 2, 1, 1};
  HeadView head;
  Three() { head.head_dim = 2, head.tokens = 3, head.k = k.data(), head.v = v.data(); }
};

TEST(Merging, ATwinChangesNothing) {
  const Three t;
  const auto keep = make_merging(snapkv(), {0.0f, 0});
  const std::vector<int32_t> kept{0, 1};
  EXPECT_EQ(keep->fold(t.head, kept).v, (std::vector<float>{1, 1, 2, 2}));
}

TEST(Merging, AThresholdThatNothingMeetsDrops) {
  const Three t;
  const auto keep = make_merging(snapkv(), {1.01f, 0});
  const std::vector<int32_t> kept{1};
  EXPECT_EQ(keep->fold(t.head, kept).v, (std::vector<float>{2, 2}));
}

TEST(Merging, ReachLimitsTargets) {
  const Three t;
  const auto far = merge_targets(t.head, std::vector<int32_t>{0, 1}, 0);
  EXPECT_EQ(far[0].target, 0);
  const auto near = merge_targets(t.head, std::vector<int32_t>{0, 1}, 1);
  EXPECT_EQ(near[0].target, 1);
  EXPECT_EQ(merge_targets(t.head, std::vector<int32_t>{0}, 1)[1].target, -1);
}

}  // namespace
}  // namespace fathom::kv::test
