#include "kv/keep/snapkv.h"

#include "base/error.h"
#include "kv/keep/reference.h"

namespace fathom::kv::test {
namespace {

constexpr Tolerance kScores{5e-5, 1e-7};

std::unique_ptr<const KeepPolicy> policy(SnapKvOptions options) {
  return make_snapkv(Parameters(snapkv_info(),
                                {{"budget", "256"},
                                 {"pool", options.pooling == Pooling::kMax ? "max" : "avg"},
                                 {"kernel", std::to_string(options.kernel)}},
                                "test"));
}

TEST(SnapKv, AveragePoolingDecidesAsKvpress) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const SnapKvOptions options{32, Pooling::kAverage, 5};
  const auto scorer = snapkv_scorer(options);
  const auto keep = policy(options);
  expect_scored_as_reference({"snapkv.avg5", scorer.get(), keep.get(), kScores, {0, 32}});
}

TEST(SnapKv, MaximumPoolingDecidesAsAdaKv) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const SnapKvOptions options{32, Pooling::kMax, 7};
  const auto scorer = snapkv_scorer(options);
  const auto keep = policy(options);
  expect_scored_as_reference({"snapkv.max7", scorer.get(), keep.get(), kScores, {0, 32}});
}

// The authors sum over the window and give every query head its own cache.
TEST(SnapKv, EachQueryHeadDecidesAsTheAuthors) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const SnapKvOptions options{32, Pooling::kAverage, 5};
  const auto keep = policy(options);
  KeptLayer layer(recorded_layer(), 1, Heads::kPerQueryHead);
  const KeepView& view = layer.append(2048, keep->needs());
  const auto scores = scores_of(*snapkv_scorer(options), view, {0, 32});
  std::vector<std::vector<int32_t>> kept(8);
  keep->select(view, kept);
  const std::string name = "snapkv.authors.per_query_head";
  for (size_t h = 0; h < 8; ++h) {
    SCOPED_TRACE(h);
    const auto want = expected_score_row(name + ".scores", h, 2048);
    std::vector<float> sums = scores[h];
    for (float& s : sums) s *= 32;
    expect_close(std::span(sums).first(2016), std::span(want).first(2016), kScores, "score");
    expect_same_choice(kept[h], expected_row(name + ".kept", h, 256), want, kScores);
  }
}

TEST(SnapKv, RefusesAnEvenKernel) { EXPECT_THROW(snapkv_scorer({32, Pooling::kMax, 4}), Error); }

}  // namespace
}  // namespace fathom::kv::test
