// Copy scores: heads whose attention is made by hand, and a model's.
#include "eval/copy_scores.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <random>

#include "support/shared_data.h"

namespace fathom::eval {
namespace {

std::shared_ptr<engine::Engine> bundled_engine() {
  ModelOptions options;
  options.threads = 2;
  options.kv = "store=f32";
  options.context = 512;
  return engine::Engine::load(test::bundled_model(), options);
}

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
  const auto engine = bundled_engine();
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

bool stands_in_fact(const ForcedText& text, engine::TokenId token) {
  for (const Span& s : text.gold) {
    for (size_t t = s.begin; t < s.end; ++t) {
      if (text.tokens[t] == token) return true;
    }
  }
  return false;
}

struct QueryHead {
  size_t layer, head;
  double score;
};

// Silences some heads: what they give is 0.
class Mask final : public engine::AttentionObserver {
 public:
  Mask(const model::Config& c, std::span<const QueryHead> heads) : config_(c), heads_(heads) {}
  void attended(const model::AttendCall& call, size_t rows) override {
    const size_t d = config_.head_dim;
    for (const QueryHead& h : heads_) {
      for (size_t r = 0; r < rows && h.layer == call.layer; ++r) {
        std::fill_n(call.out + (r * config_.heads + h.head) * d, d, 0.0f);
      }
    }
  }

 private:
  const model::Config& config_;
  std::span<const QueryHead> heads_;
};

// Of the answers' tokens that stand in the fact, the share that the model finds most likely, with
// these heads masked.
double copied_with_mask(engine::Runner& runner, std::span<const ForcedText> texts,
                        std::span<const QueryHead> heads) {
  Mask mask(runner.config(), heads);
  runner.observe(&mask);
  size_t right = 0, wanted = 0;
  for (const ForcedText& text : texts) {
    const std::span<const engine::TokenId> tokens(text.tokens);
    kv::SequenceCache cache = runner.new_cache();
    runner.read(cache, tokens.first(text.answer - 1));
    for (size_t t = text.answer - 1; t + 1 < tokens.size(); ++t) {
      const std::span<const float> logits = runner.read(cache, tokens.subspan(t, 1));
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      if (!stands_in_fact(text, tokens[t + 1])) continue;
      right += static_cast<engine::TokenId>(best) == tokens[t + 1];
      ++wanted;
    }
  }
  runner.observe(nullptr);
  return double(right) / double(wanted);
}

// The point of the scores: without the heads that they find on some texts, others are no longer
// copied from; without as many others, they are.
TEST(CopyScores, MaskingTheFoundHeadsHurtsMoreThanMaskingOthers) {
  const auto engine = bundled_engine();
  const auto scores = score_copying(engine->runner(), copy_texts(*engine, 1, 400, 8));
  ASSERT_TRUE(scores);
  std::vector<QueryHead> heads;
  for (size_t l = 0; l < scores->heads.size(); ++l) {
    for (size_t h = 0; h < scores->heads[l].size(); ++h) {
      heads.push_back({l, h, scores->heads[l][h]});
    }
  }
  std::stable_sort(heads.begin(), heads.end(),
                   [](const QueryHead& a, const QueryHead& b) { return a.score > b.score; });
  // They do each other's work: all that copy are masked, and there are none in between.
  const size_t masked = static_cast<size_t>(
      std::count_if(heads.begin(), heads.end(), [](const QueryHead& h) { return h.score > 0.5; }));
  ASSERT_EQ(masked, 5u);
  EXPECT_LT(heads[masked].score, 0.25);
  const auto texts = copy_texts(*engine, 2, 400, 16);
  const double whole = copied_with_mask(engine->runner(), texts, {});
  const double found = copied_with_mask(engine->runner(), texts, std::span(heads).first(masked));
  std::string shares =
      fmt::format("all {:.2f}, without those {:.2f}, without others", whole, found);
  EXPECT_GT(whole, 0.9);
  EXPECT_LT(found, 0.5);
  double mean = 0;
  std::mt19937_64 rng(1);
  for (int draw = 0; draw < 6; ++draw) {
    std::shuffle(heads.begin() + std::ptrdiff_t(masked), heads.end(), rng);
    const double others =
        copied_with_mask(engine->runner(), texts, std::span(heads).subspan(masked, masked));
    EXPECT_GT(others, found);  // a head that those rely on may be among them
    mean += others / 6;
    shares += fmt::format(" {:.2f}", others);
  }
  EXPECT_GT(mean, found + 0.3);
  std::puts(shares.c_str());
}

}  // namespace
}  // namespace fathom::eval
