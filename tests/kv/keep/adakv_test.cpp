#include "kv/keep/adakv.h"

#include "kv/keep/reference.h"
#include "kv/keep/snapkv.h"

namespace fathom::kv::test {
namespace {

struct AdaCase {
  SnapKvOptions scorer;
  AdaOptions options;
  std::string name;
};

std::vector<std::vector<int32_t>> decide(const AdaCase& c, KeptLayer& layer) {
  const auto keep =
      make_budgeted(snapkv_scorer(c.scorer), adaptive_budget(even_budget(256), c.options), {0, 32});
  std::vector<std::vector<int32_t>> kept(layer.heads());
  keep->select(layer.append(2048, keep->needs()), kept);
  return kept;
}

void expect_budgets(const AdaCase& c, bool sets) {
  KeptLayer layer(recorded_layer(), 1);
  const auto kept = decide(c, layer);
  const auto budgets = expected_integers(c.name + ".head_budget");
  const auto all = sets ? expected_integers(c.name + ".kept") : std::vector<int64_t>();
  size_t at = 0;
  for (size_t h = 0; h < 4; ++h) {
    SCOPED_TRACE(c.name + ", head " + std::to_string(h));
    ASSERT_EQ(kept[h].size(), size_t(budgets[h]));
    for (size_t i = 0; i < kept[h].size() && sets; ++i) ASSERT_EQ(kept[h][i], all[at++]);
  }
}

constexpr SnapKvOptions kAverage5{32, Pooling::kAverage, 5}, kMax7{32, Pooling::kMax, 7};

TEST(AdaKv, TopUpDecidesAsKvpress) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  expect_budgets({kAverage5, {0.2, AdaRule::kTopUp, {}}, "adakv.kvpress"}, true);
}

TEST(AdaKv, CountsDecideAsTheAuthors) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  expect_budgets({kMax7, {0.2, AdaRule::kAuthors, {}}, "adakv.authors"}, true);
  expect_budgets({kMax7,
                  {0.2, AdaRule::kAuthors, AdaOptions::Scale::kConcentration},
                  "adakv.authors.normalize"},
                 false);
}

TEST(AdaKv, ScoresAreTheAuthors) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  KeptLayer layer(recorded_layer(), 1);
  const KeepView& view = layer.append(2048, {.window = 32});
  const auto scores = scores_of(*snapkv_scorer(kMax7), view, {0, 32});
  for (size_t h = 0; h < 4; ++h) {
    expect_close(std::span(scores[h]).first(2016),
                 expected_score_row("adakv.authors.scores", h, 2016), {5e-5, 1e-7}, "score");
  }
}

TEST(AdaKv, AFloorOfOneIsSnapKv) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto snapkv = make_budgeted(snapkv_scorer(kMax7), even_budget(256), {0, 32});
  for (const AdaRule rule : {AdaRule::kAuthors, AdaRule::kTopUp}) {
    KeptLayer layer(recorded_layer(), 1), again(recorded_layer(), 1);
    std::vector<std::vector<int32_t>> even(4);
    snapkv->select(again.append(2048, snapkv->needs()), even);
    EXPECT_EQ(decide({kMax7, {1.0, rule, {}}, ""}, layer), even);
  }
}

}  // namespace
}  // namespace fathom::kv::test
