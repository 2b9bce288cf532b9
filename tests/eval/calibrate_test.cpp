// The search for each head's pattern: heads made for one pattern are recognised, budgets hold, and
// what is written is what prefill=minference reads.
#include "eval/calibrate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/engine.h"
#include "eval/haystack.h"
#include "kv/prefill/minference.h"
#include "support/shared_data.h"

namespace fathom::eval {
namespace {

using kv::MInferencePattern;

constexpr size_t kTokens = 1500, kDim = 16;

// A head whose queries look for what `marks` says: key j has mark(j) in channel 0 .. 15.
struct MadeHead {
  std::vector<float> q = std::vector<float>(kTokens * kDim), k = q, v = q, out = q;

  MadeHead() {
    std::mt19937_64 rng(5);
    std::normal_distribution<float> normal;
    for (float& x : q) x = 0.05f * normal(rng);
    for (float& x : k) x = 0.05f * normal(rng);
    for (float& x : v) x = normal(rng);
  }

  float& key(size_t t, size_t c) { return k[t * kDim + c]; }
  float& query(size_t t, size_t c) { return q[t * kDim + c]; }

  PromptHead finished() {
    std::vector<double> weights(kTokens);
    for (size_t i = 0; i < kTokens; ++i) {
      double total = 0;
      std::vector<double> sum(kDim);
      for (size_t j = 0; j <= i; ++j) {
        double dot = 0;
        for (size_t c = 0; c < kDim; ++c) dot += double{query(i, c)} * key(j, c);
        const double w = std::exp(dot);
        total += w;
        for (size_t c = 0; c < kDim; ++c) sum[c] += w * v[j * kDim + c];
      }
      for (size_t c = 0; c < kDim; ++c) out[i * kDim + c] = float(sum[c] / total);
    }
    return {0, kTokens, kDim, q.data(), k.data(), v.data(), out.data(), kDim, kDim, 1.0f, 0, 0};
  }
};

MInferencePattern found(const PromptHead& head) {
  return best_trial(try_patterns(head, {.budget = 0.3, .rows = 64})).head.pattern;
}

// A dozen keys that every query looks for.
TEST(Calibrate, ColumnsAreVerticalSlash) {
  MadeHead made;
  for (size_t t = 0; t < kTokens; ++t) made.query(t, 0) = 4;
  for (size_t j = 150; j < kTokens; j += 60) made.key(j, 0) = 3;
  const PromptHead head = made.finished();
  const PatternTrial best = best_trial(try_patterns(head, {.budget = 0.3, .rows = 64}));
  EXPECT_EQ(best.head.pattern, MInferencePattern::kVerticalSlash);
  EXPECT_LT(best.error, 0.2);
}

// Each query looks for keys of its own block of 128 and for those of another block, which is
// somewhere else for every one of them.
TEST(Calibrate, ScatteredBlocksAreBlockSparse) {
  MadeHead made;
  for (size_t t = 0; t < kTokens; ++t) {
    const size_t block = t / 64;
    made.key(t, block % kDim) = 3;
    made.query(t, (block * 7 + 3) % kDim) = 4;
  }
  EXPECT_EQ(found(made.finished()), MInferencePattern::kBlockSparse);
}

// What a head looks for is where it stands: the last few hundred keys.
TEST(Calibrate, AWindowIsSeenByAShape) {
  MadeHead made;
  for (size_t t = 0; t < kTokens; ++t) {
    const double angle = double(t) / 400;  // not once around
    made.key(t, 0) = 5 * float(std::cos(angle)), made.key(t, 1) = 5 * float(std::sin(angle));
    made.query(t, 0) = 8 * float(std::cos(angle)), made.query(t, 1) = 8 * float(std::sin(angle));
  }
  const PromptHead head = made.finished();
  size_t seen = 0;
  for (const PatternTrial& t : try_patterns(head, {.budget = 0.35, .rows = 64})) {
    if (t.head.pattern != MInferencePattern::kStreaming) continue;
    EXPECT_LT(t.error, 0.1);
    ++seen;
  }
  EXPECT_EQ(seen, 1u);
}

// Everything fits: some pattern leaves out nothing, and is found.
TEST(Calibrate, AFullBudgetLeavesNoError) {
  MadeHead made;
  const PromptHead head = made.finished();
  for (const PatternTrial& trial : try_patterns(head, {.budget = 1.0, .rows = 64})) {
    EXPECT_LE(trial.cost, 1.0);
  }
  EXPECT_LT(best_trial(try_patterns(head, {.budget = 1.0, .rows = 64})).error, 1e-5);
}

TEST(Calibrate, BudgetsHoldOrTheCheapestIsTaken) {
  MadeHead made;
  const PromptHead head = made.finished();
  for (const double budget : {0.25, 0.4, 0.7}) {
    for (const PatternTrial& trial : try_patterns(head, {.budget = budget, .rows = 16})) {
      EXPECT_LE(trial.cost, budget);
      EXPECT_GT(trial.cost, 0.5 * budget) << "a larger size would have fitted";
    }
  }
  EXPECT_EQ(try_patterns(head, {.budget = 0.001, .rows = 16}).size(), 1u);
}

// Keys beyond a layer's window are no error, and soft caps are part of the arithmetic.
TEST(Calibrate, WindowsAndSoftCapsAreTheModels) {
  MadeHead made;
  PromptHead head = made.finished();
  head.window = 1;  // every query sees itself only
  head.soft_cap = 1;
  std::copy(made.v.begin(), made.v.end(), made.out.begin());
  for (const PatternTrial& trial : try_patterns(head, {.budget = 0.3, .rows = 64})) {
    EXPECT_LT(trial.error, 1e-6);
  }
}

class CalibrateOnAModel : public testing::Test {
 protected:
  static std::shared_ptr<engine::Engine> load(const std::string& kv, int threads = 2) {
    ModelOptions options;
    options.threads = threads;
    options.kv = kv + " store=f32";
    options.context = options.batch = 1024;
    return engine::Engine::load(test::bundled_model(), options);
  }
  static std::vector<engine::TokenId> tokens(const engine::Engine& engine) {
    auto out = engine.tokenizer().encode(make_haystack({.characters = 6000}).text);
    out.resize(1024);
    return out;
  }
};

TEST_F(CalibrateOnAModel, WritesWhatThePolicyReadsWhateverTheThreads) {
  std::string want;
  for (const int threads : {1, 3}) {
    const auto engine = load("", threads);
    const auto found = calibrate(engine->runner(), tokens(*engine), {.rows = 32}, {});
    ASSERT_TRUE(found);
    const std::string text = minference_table_text(*found);
    if (want.empty()) want = text;
    EXPECT_EQ(text, want);
    const kv::MInferenceTable table = kv::parse_minference_table(text, "test");
    const model::Config& c = engine->model().config();
    ASSERT_EQ(table.size(), c.layers);
    for (size_t layer = 0; layer < c.layers; ++layer) {
      ASSERT_EQ(table[layer].size(), c.heads);
      for (size_t h = 0; h < c.heads; ++h) {
        const kv::MInferenceHead& best = best_trial((*found)[layer][h]).head;
        EXPECT_EQ(table[layer].at(h).pattern, best.pattern);
        EXPECT_EQ(table[layer].at(h).first, best.first);
        EXPECT_EQ(table[layer].at(h).second, best.second);
      }
    }
  }
}

TEST_F(CalibrateOnAModel, AFullBudgetIsTheModelsOwnAttention) {
  const auto engine = load("");
  const auto found = calibrate(engine->runner(), tokens(*engine), {.budget = 1.0, .rows = 32}, {});
  ASSERT_TRUE(found);
  for (const auto& layer : *found) {
    for (const auto& trials : layer) EXPECT_LT(best_trial(trials).error, 1e-5);
  }
}

TEST_F(CalibrateOnAModel, AnEarlyEndFindsNothing) {
  const auto engine = load("");
  const auto stop = [](const ProgressUpdate& u) { return u.done < 2; };
  EXPECT_FALSE(calibrate(engine->runner(), tokens(*engine), {.rows = 8}, stop));
}

}  // namespace
}  // namespace fathom::eval
