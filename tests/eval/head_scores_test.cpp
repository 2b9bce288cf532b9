#include "eval/head_scores.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "engine/engine.h"
#include "engine/recorder.h"
#include "support/shared_data.h"

namespace fathom::eval {
namespace {

constexpr size_t kBlock = 16, kRepeats = 4, kDim = 32, kHeads = 3;

// Three query heads over one kv head, whose keys are their tokens' directions: head 0 asks for the
// token that follows its own, head 1 for its own, head 2 for nothing. Token 0 begins the text.
struct Made {
  RepeatedText text;
  std::vector<size_t> rows;
  LayerAttention layer;

  Made() {
    text.begin = 1;
    text.block = kBlock;
    text.tokens = {99};
    for (size_t i = 0; i < kBlock * kRepeats; ++i) text.tokens.push_back(int(i % kBlock));
    rows = repeated_rows(text, 1000);
    layer.heads = kHeads;
    layer.kv_heads = 1;
    layer.head_dim = kDim;
    layer.k.resize(text.tokens.size() * kDim);
    for (size_t t = 1; t < text.tokens.size(); ++t) layer.k[t * kDim + (t - 1) % kBlock] = 60.0f;
    layer.q.resize(rows.size() * kHeads * kDim);
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t token = (rows[i] - 1) % kBlock;
      layer.q[i * kHeads * kDim + (token + 1) % kBlock] = 1.0f;
      layer.q[(i * kHeads + 1) * kDim + token] = 1.0f;
    }
  }
};

TEST(HeadScores, TellInductionFromEchoFromNeither) {
  const Made made;
  ThreadPool pool(2);
  ASSERT_EQ(made.rows.size(), kBlock * (kRepeats - 1));
  EXPECT_EQ(made.rows.front(), 1 + kBlock);
  EXPECT_EQ(made.rows.back(), kBlock * kRepeats);
  const auto scores = score_layer(made.layer, made.text, made.rows, pool);
  // A row of time r + 1 has met its token r times. What follows the last of a block is the first,
  // which also stands where the text begins and followed nothing there.
  double induction = 0, echo = 0, flat = 0;
  for (size_t i = 0; i < made.rows.size(); ++i) {
    const double r = double(1 + i / kBlock);
    induction += i % kBlock == kBlock - 1 ? r / (r + 1) : 1;
    echo += r / (r + 1);
    flat += r / double(made.rows[i] + 1);
  }
  const double n = double(made.rows.size());
  EXPECT_NEAR(scores[0].induction, induction / n, 1e-6);
  EXPECT_NEAR(scores[0].echo, 0, 1e-6);
  EXPECT_NEAR(scores[1].echo, echo / n, 1e-6);
  EXPECT_NEAR(scores[1].induction, 0, 1e-6);
  EXPECT_NEAR(scores[2].echo, flat / n, 1e-6);
  EXPECT_NEAR(scores[2].induction, flat / n, 1e-6);
  EXPECT_NEAR(chance_score(made.text, made.rows), flat / n, 1e-12);
}

// A window of a block ends just before the query's own token: the one after it is still seen.
TEST(HeadScores, WindowsAndSoftCapsCount) {
  Made made;
  ThreadPool pool(2);
  made.layer.window = kBlock;
  const auto seen = score_layer(made.layer, made.text, made.rows, pool);
  EXPECT_NEAR(seen[0].induction, 1.0, 1e-6);
  EXPECT_EQ(seen[1].echo, 0.0);
  made.layer.window = 0;
  made.layer.soft_cap = 1.0f;  // logits of 60 are 1
  double induction = 0;
  for (size_t i = 0; i < made.rows.size(); ++i) {
    const double r = double(1 + i / kBlock), e = std::exp(1.0);
    const double asked = r + double(i % kBlock == kBlock - 1);
    induction += r * e / (asked * e + double(made.rows[i] + 1) - asked) / double(made.rows.size());
  }
  EXPECT_NEAR(score_layer(made.layer, made.text, made.rows, pool)[0].induction, induction, 1e-6);
}

std::shared_ptr<engine::Engine> load(int threads) {
  ModelOptions options;
  options.threads = threads;
  options.kv = "store=f32";
  options.context = 512;
  options.batch = 100;  // several steps
  return engine::Engine::load(test::bundled_model(), options);
}

TEST(HeadScores, OfAModelAreThoseOfItsRecordedQueriesAndKeys) {
  const auto engine = load(2);
  const RepeatedText text = make_repeated_text(engine->tokenizer(), 70, 4, 5);
  EXPECT_EQ(std::set(text.tokens.begin(), text.tokens.end()).size(), 70u);
  const auto rows = repeated_rows(text, 50);
  const auto scores = score_heads(engine->runner(), text, rows, {});
  ASSERT_TRUE(scores);
  const model::Config& c = engine->model().config();
  ASSERT_EQ(scores->size(), c.layers);
  std::vector<size_t> layers(c.layers);
  std::iota(layers.begin(), layers.end(), 0);
  const auto recorded = engine::record_layers(engine->runner(), text.tokens, layers);
  const size_t d = c.head_dim;
  for (const size_t layer : layers) {
    const engine::RecordedLayer& r = recorded[layer];
    for (size_t h = 0; h < c.heads; ++h) {
      double echo = 0, induction = 0;
      for (const size_t row : rows) {
        double sum = 0, same = 0, after = 0;
        for (size_t t = 0; t <= row; ++t) {
          double dot = 0;
          for (size_t i = 0; i < d; ++i) {
            dot += double{r.q[(row * c.heads + h) * d + i]} *
                   r.k[(t * c.kv_heads + h / (c.heads / c.kv_heads)) * d + i];
          }
          const double weight = std::exp(dot * r.scale);
          sum += weight;
          if (t < row && text.tokens[t] == text.tokens[row]) same += weight;
          if (t > 0 && text.tokens[t - 1] == text.tokens[row]) after += weight;
        }
        echo += same / sum / double(rows.size());
        induction += after / sum / double(rows.size());
      }
      const HeadScore& score = (*scores)[layer][h];
      EXPECT_NEAR(score.echo, echo, 1e-5) << layer << " " << h;
      EXPECT_NEAR(score.induction, induction, 1e-5) << layer << " " << h;
      EXPECT_GE(std::min(score.echo, score.induction), 0.0);
      EXPECT_LE(std::max(score.echo, score.induction), 1.0);
    }
  }
}

TEST(HeadScores, AReportEndsTheSearch) {
  const auto engine = load(1);
  const RepeatedText text = make_repeated_text(engine->tokenizer(), 70, 4, 5);
  const auto rows = repeated_rows(text, 50);
  for (const char* phase : {"reading", "scoring"}) {
    const auto stop = [&](const ProgressUpdate& update) { return update.phase != phase; };
    EXPECT_FALSE(score_heads(engine->runner(), text, rows, stop)) << phase;
  }
}

TEST(HeadScores, AShareOfTheHeadsAreRetrievalHeads) {
  // 50 layers of two groups of two: induction falls, echo rises.
  std::vector<std::vector<HeadScore>> scores(50, std::vector<HeadScore>(4));
  for (size_t i = 0; i < 100; ++i) {
    scores[i / 2][i % 2 * 2 + i % 3 % 2] = {double(i) / 100, 1.0 - double(i) / 100};
  }
  const auto grouped = group_scores(scores, 2);
  ASSERT_EQ(grouped.size(), 100u);
  EXPECT_EQ(grouped[7].echo, 0.07);
  const kv::HeadTable table = retrieval_heads(grouped, 2, 0.15);
  EXPECT_EQ(table.layers(), 50u);
  for (size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(table.values[i], float(i < 14 || i == 99)) << i;
  }
  const auto count = [&](double share) {
    const auto values = retrieval_heads(grouped, 2, share).values;
    return std::count(values.begin(), values.end(), 1.0f);
  };
  EXPECT_EQ(count(0.0), 1);
  EXPECT_EQ(count(0.05), 5);
  EXPECT_EQ(count(1.0), 100);
  EXPECT_EQ(score_table(grouped, 2).values[1], 0.99f);
}

}  // namespace
}  // namespace fathom::eval
