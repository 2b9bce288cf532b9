// Methods that count attention count the layer's: with its soft cap and its window.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kv/prefill/flexprefill.h"
#include "kv/prefill/probe.h"
#include "kv/prefill/xattention.h"
#include "kv/prefill/zipvl.h"
#include "kv/replay/attend_lists.h"
#include "support/made_head.h"
#include "support/prefill_lists.h"

namespace fathom::kv {
namespace {

using test::MadeHead;

PrefillView capped(const MadeHead& head, float soft_cap, int32_t window = 0) {
  PrefillView view = head.chunk(0, head.tokens);
  view.head.soft_cap = soft_cap;
  view.head.window = window;
  return view;
}

// The weights of one query, in f64.
std::vector<double> weights_of(const MadeHead& made, const PrefillView& view, size_t query) {
  const HeadView& head = view.head;
  std::vector<double> w(head.tokens);
  double sum = 0;
  for (size_t t = 0; t <= query; ++t) {
    if (head.window > 0 && query - t >= static_cast<size_t>(head.window)) continue;
    double score = 0;
    for (size_t c = 0; c < head.head_dim; ++c)
      score += double{made.query(query, 1)[c]} * head.key(t)[c];
    score *= head.scale;
    if (head.soft_cap > 0) score = head.soft_cap * std::tanh(score / head.soft_cap);
    sum += w[t] = std::exp(score);
  }
  for (double& x : w) x /= sum;
  return w;
}

// 16 rows of weights of 1 at most, each rounded at 2^-24 a few times: far below the tolerance.
TEST(Probes, AreTheAttentionOfTheLayer) {
  const MadeHead head(500, 21);
  for (const float soft_cap : {0.0f, 0.8f}) {
    for (const int32_t window : {0, 70, 450}) {
      const PrefillView view = capped(head, soft_cap, window);
      const ProbeSums sums = probe_sums(view, 1, 16);
      std::vector<double> columns(500), offsets(500);
      for (size_t query = 484; query < 500; ++query) {
        const std::vector<double> w = weights_of(head, view, query);
        for (size_t t = 0; t <= query; ++t) columns[t] += w[t], offsets[query - t] += w[t];
      }
      for (size_t i = 0; i < 500; ++i) {
        ASSERT_NEAR(sums.columns[i], columns[i], 1e-5) << i << " " << soft_cap << " " << window;
        ASSERT_NEAR(sums.offsets[i], offsets[i], 1e-5) << i << " " << soft_cap << " " << window;
      }
    }
  }
}

// Under a cap this tight all scores are alike, and a share of the attention is one of the tokens.
TEST(ZipVL, CountsCappedAttention) {
  const MadeHead head(640, 3);
  PrefillView view = head.chunk(639, 640);
  EXPECT_LT(zipvl_tokens(view, {0.5, 1}).size(), 300u);
  view.head.soft_cap = 1e-4f;
  EXPECT_NEAR(double(zipvl_tokens(view, {0.5, 1}).size()), 320, 2);
  view.head.window = 200;  // and the first four
  EXPECT_NEAR(double(zipvl_tokens(view, {0.5, 1}).size()), 104, 2);
}

// A token's mean is over the probes that see it, of which the window leaves a few: where each gives
// everyone 1 / 100, no token is worth more for being seen by more of them.
TEST(ZipVL, MeansAreOverTheProbesThatSeeAToken) {
  MadeHead head(1200, 5);
  std::fill(head.k.begin(), head.k.end(), 0.0f);
  head.k[300 * head.head_dim] = 1e-3f;  // a hair above the others, seen by few probes
  for (size_t i = 0; i < head.q.size(); i += head.head_dim) head.q[i] = 4.0f;
  PrefillView view = head.chunk(200, 1200);
  view.head.window = 100;
  const auto tokens = zipvl_tokens(view, {0.01, 64});
  EXPECT_TRUE(std::binary_search(tokens.begin(), tokens.end(), 300));
}

// With all scores alike a group of queries attends to every group it sees in equal parts.
TEST(XAttention, SumsAreOfTheAttentionOfTheLayer) {
  const MadeHead head(1024, 22);
  for (const int32_t window : {0, 257}) {
    const auto sums = xattention_sums(capped(head, 1e-5f, window), 0, {64, 8, 0.9});
    for (size_t row = 0; row < 16; ++row) {
      std::vector<double> want(16);
      for (size_t group = row * 8; group < row * 8 + 8; ++group) {
        // The group's first query, 8 * group, sees keys from 8 * group - 256 on.
        const size_t first = window == 0 || group <= 32 ? 0 : group - 32;
        for (size_t g = first; g <= group; ++g) want[g / 8] += 1.0 / double(group + 1 - first);
      }
      for (size_t b = 0; b < 16; ++b) ASSERT_NEAR(sums[row * 16 + b], want[b], 1e-4) << row << b;
    }
  }
}

// Alike scores: means of blocks attend to blocks as the probes do, but for what the probes' own
// block hides from its first queries, which is half a block of eight.
TEST(FlexPrefill, ComparesAttentionOfTheLayer) {
  MadeHead head(1024, 23);
  head.plant(0, 0);
  for (size_t t = 256; t < 384; ++t) {  // a block whose mean hides what half of it is
    head.k[t * head.head_dim] = t % 2 == 0 ? 9.0f : -9.0f;
  }
  const double plain = flexprefill_choice(capped(head, 0), 0, {}).divergence;
  EXPECT_GT(plain, 0.3);
  EXPECT_LT(flexprefill_choice(capped(head, 1e-4f), 0, {}).divergence, 0.12);
  // The last 128 queries see six blocks more than their own, the first of these in part.
  const auto narrow = flexprefill_choice(capped(head, 1e-4f, 768), 0, {128, 0.9, 1, 128});
  EXPECT_LT(narrow.divergence, 0.2);
}

// Scores below a cap lie within twice the cap of each other.
TEST(Anchor, DifferencesAreThoseOfCappedScores) {
  MadeHead head(2048, 24);
  const auto policy = test::make_prefill("anchor(theta=1,step=2,block=64)");
  const auto last_keys = [&](float soft_cap) {
    const auto lists = test::run_select(*policy, capped(head, soft_cap));
    std::vector<int32_t> keys;
    visible_keys(lists[lists.size() / head.group - 1], head.tokens - 1, keys);
    return keys.size();
  };
  EXPECT_LT(last_keys(0), 1000u);
  EXPECT_EQ(last_keys(0.4f), 2048u);
}

// The best blocks of those that a window leaves, which a ranking of all of them would miss.
TEST(MInference, BlocksAreChosenWithinTheWindow) {
  MadeHead head(2048, 25);
  for (size_t i = 0; i < head.q.size(); i += head.head_dim) head.q[i] = 4.0f;
  for (size_t t = 0; t < head.tokens; ++t) head.k[t * head.head_dim] = t < 1024 ? 9.0f : 0.0f;
  const size_t best = 1600 / 64;
  for (size_t t = best * 64; t < best * 64 + 64; ++t) head.k[t * head.head_dim] = 5.0f;
  const auto policy = test::make_prefill("minference(pattern=block_sparse,blocks=2)");
  const auto last_blocks = [&](int32_t window) {
    const auto lists = test::run_select(*policy, capped(head, 0, window));
    return test::blocks_of(lists[31], 64);
  };
  EXPECT_FALSE(last_blocks(0).contains(best));
  EXPECT_TRUE(last_blocks(900).contains(best));
}

// A tree that begins at the window finds the hill in it, whatever lies behind.
TEST(Hip, LooksWithinTheWindow) {
  MadeHead head(4096, 26);
  head.plant(0, 0);
  for (float& q : head.q) q = q == 4.0f ? q : 0.0f;
  for (size_t t = 0; t < head.tokens; ++t) {
    const float far = std::fabs(static_cast<float>(t) - 3000.0f);
    head.k[t * head.head_dim] = t < 2048 ? 90.0f : 40.0f - 0.02f * far;
  }
  const auto policy = test::make_prefill("hip(k=64,window=64)");
  const auto finds = [&](int32_t window) {
    const auto lists = test::run_select(*policy, capped(head, 0, window));
    std::vector<int32_t> keys;
    visible_keys(lists[lists.size() / head.group - 1], head.tokens - 1, keys);
    return std::binary_search(keys.begin(), keys.end(), 3000);
  };
  EXPECT_FALSE(finds(0));
  EXPECT_TRUE(finds(2000));
}

}  // namespace
}  // namespace fathom::kv
