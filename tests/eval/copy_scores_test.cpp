// Copy scores: heads whose attention is made by hand, and a model's.
#include "eval/copy_scores.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/shared_data.h"

namespace fathom::eval {
namespace {

// Keys are their positions' directions. The fact holds tokens 5, 6, 7 at positions 2 to 4; the
// answer, written behind position 7, is 6 7 9: two of its tokens are in the fact.
TEST(CopyScores, CountWhatAHeadLooksAtWhileItIsWritten) {
  ForcedText text;
  text.tokens = {1, 6, 5, 6, 7, 2, 3, 4, 6, 7, 9};
  text.answer = 8;
  text.gold = {{2, 5}};
  LayerAttention layer;
  layer.heads = 4;
  layer.kv_heads = 1;
  layer.head_dim = 16;
  layer.k.resize(text.tokens.size() * 16);
  for (size_t t = 0; t < text.tokens.size(); ++t) layer.k[t * 16 + t] = 10.0f;
  layer.q.resize(3 * 4 * 16);
  const auto look = [&](size_t row, size_t head, size_t position) {
    layer.q[(row * 4 + head) * 16 + position] = 10.0f;
  };
  look(0, 0, 3), look(1, 0, 4), look(2, 0, 4);  // copies both
  look(0, 1, 3), look(1, 1, 3), look(2, 1, 3);  // the first only
  look(0, 2, 1), look(1, 2, 1), look(2, 2, 1);  // the same token, outside of the fact
  look(0, 3, 2), look(1, 3, 3), look(2, 3, 4);  // the token before
  EXPECT_EQ(copied_shares(layer, text), (std::vector<double>{1, 0.5, 0, 0}));
}

TEST(CopyScores, FindTheBundledModelsRetrievalHeads) {
  ModelOptions options;
  options.threads = 2;
  options.kv = "store=f32";
  options.context = 512;
  const auto engine = engine::Engine::load(test::bundled_model(), options);
  const auto texts = copy_texts(*engine, 1, 400, 8);
  ASSERT_EQ(texts.size(), 8u);
  const auto scores = score_copying(engine->runner(), texts);
  ASSERT_TRUE(scores);
  EXPECT_EQ(scores->texts, 8u);
  EXPECT_GE(scores->counted, 5u);
  double best[4] = {};
  for (size_t l = 0; l < 4; ++l)
    best[l] = *std::max_element(scores->heads[l].begin(), scores->heads[l].end());
  // Facts are looked up in the last layer.
  EXPECT_GT(best[3], 0.5);
  EXPECT_GT(best[3], 2 * std::max({best[0], best[1], best[2]}));
}

}  // namespace
}  // namespace fathom::eval
