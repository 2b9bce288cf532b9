#include "eval/profile.h"

#include <gtest/gtest.h>

#include <cmath>

#include "file/safetensors_writer.h"
#include "support/temp_dir.h"

namespace fathom::eval {
namespace {

constexpr size_t kTokens = 256, kDim = 32;

// A layer of two heads over one kv head. A key is its token's direction times `strength`, and the
// queries of head 0 ask for the token that follows theirs: an induction head. Head 1 asks nothing.
struct MadeLayer {
  std::vector<engine::TokenId> tokens;
  std::vector<float> q, k, v;

  MadeLayer() : q(kTokens * 2 * kDim), k(kTokens * kDim), v(kTokens * kDim, 1.0f) {
    for (size_t t = 0; t < kTokens; ++t) {
      // 16 tokens in a fixed order, again and again.
      tokens.push_back(static_cast<engine::TokenId>(t % 16));
      k[t * kDim + t % 16] = 30.0f * std::sqrt(float(kDim));
      q[t * 2 * kDim + (t + 1) % 16] = 1.0f;
    }
  }

  std::string write(const test::TempDir& folder,
                    std::map<std::string, std::string> metadata = {}) const {
    const auto view = [](const char* name, uint64_t heads, const std::vector<float>& values) {
      return file::safetensors_view(name, file::ElementType::kF32, {kTokens, heads, kDim},
                                    std::span<const float>(values));
    };
    const file::SafetensorsView tensors[] = {view("q", 2, q), view("k", 1, k), view("v", 1, v)};
    const std::string path = folder.file("made.safetensors");
    metadata["prompt_tokens"] = "240";
    file::write_safetensors(path, tensors, metadata);
    return path;
  }
};

TEST(Profile, TellsAnInductionHeadFromOneThatLooksEverywhere) {
  const test::TempDir folder;
  const MadeLayer made;
  const kv::Recording recording(made.write(folder));
  ThreadPool pool(2);
  ProfileOptions options;
  options.local = 1;
  const LayerProfile layer = profile_layer(recording, made.tokens, options, pool);
  ASSERT_EQ(layer.heads.size(), 2u);
  const HeadProfile& induction = layer.heads[0];
  const HeadProfile& flat = layer.heads[1];
  // A row finds its token's followers; token 0, which follows 15, also stands where the text
  // begins.
  double copy = 0;
  for (size_t t = 16; t < kTokens; ++t) {
    const double followers = double(t / 16);
    copy += followers / (followers + (t % 16 == 15)) / 240;
  }
  EXPECT_EQ(layer.copy_rows, 240u);
  EXPECT_NEAR(induction.copy, copy, 1e-6);
  EXPECT_NEAR(flat.copy, flat.copy_chance, 1e-6);
  EXPECT_NEAR(flat.spread, 1.0, 1e-6);
  EXPECT_LT(induction.spread, 0.6);
  // Rows t = 5 .. 255 with weight 1 / (t + 1) on each of the first four.
  double sinks = 0, entropy = 0;
  for (size_t t = 5; t < kTokens; ++t) {
    sinks += 4.0 / double(t + 1) / 251;
    entropy += std::log(double(t + 1)) / 251;
  }
  EXPECT_NEAR(flat.sinks, sinks, 1e-6);
  EXPECT_NEAR(flat.entropy, entropy, 1e-6);
  double sum = 0;
  for (const double share : flat.distance) sum += share;
  EXPECT_NEAR(sum, 1.0, 1e-6);
  EXPECT_NEAR(flat.distance[0], flat.local, 1e-9) << "one local token is the query's own";
}

// Head 1 attends to all that it sees alike, and under a cap this low head 0 does, too.
TEST(Profile, CountsTheWindowAndTheSoftCap) {
  const test::TempDir folder;
  const MadeLayer made;
  const kv::Recording recording(made.write(folder, {{"window", "40"}, {"soft_cap", "0.001"}}));
  ThreadPool pool(2);
  ProfileOptions options;
  options.local = 10;
  const LayerProfile layer = profile_layer(recording, made.tokens, options, pool);
  for (const HeadProfile& head : layer.heads) {
    EXPECT_NEAR(head.spread, 1.0, 1e-5);
    EXPECT_NEAR(head.copy, head.copy_chance, 1e-4);
    EXPECT_LT(head.sinks, 0.05) << "only the first rows see them";
    EXPECT_EQ(head.distance[7], 0.0) << "64 to 127 tokens away";
  }
  const auto recall = [&](const char* line) {
    return policy_recall(recording, kv::make_policy(kv::parse_policy(line), {}), options, pool);
  };
  EXPECT_NEAR(recall("store=f32").steps.read, 1.0, 1e-9);
  // The 20 last ones that the step before left, and its own.
  EXPECT_NEAR(recall("keep=streaming(sinks=4,recent=20) store=f32").steps.read, 21.0 / 40, 1e-9);
  const PolicyRecall shape = recall("prefill=a_shape(sinks=4,window=1000) store=f32");
  EXPECT_NEAR(shape.prefill->read, 1.0, 1e-9);
  EXPECT_NEAR(shape.prefill->recall, 1.0, 1e-5);
}

TEST(Profile, RecallIsTheAttentionOnWhatAPolicyReads) {
  const test::TempDir folder;
  const MadeLayer made;
  const kv::Recording recording(made.write(folder));
  ThreadPool pool(2);
  const auto recall = [&](const char* line) {
    return policy_recall(recording, kv::make_policy(kv::parse_policy(line), {}), {}, pool);
  };
  const PolicyRecall all = recall("store=f32");
  EXPECT_FALSE(all.prefill);
  EXPECT_NEAR(all.steps.recall, 1.0, 1e-5);
  EXPECT_NEAR(all.steps.read, 1.0, 1e-9);
  // A window of 32 holds two of the about 15.5 places that head 0 looks at, and of what head 1 sees
  // its own share.
  const PolicyRecall window = recall("keep=streaming(sinks=0,recent=32) store=f32");
  EXPECT_NEAR(window.steps.read, 32.0 / 248, 0.01);
  EXPECT_NEAR(window.steps.recall, 32.0 / 248, 0.02);
  ASSERT_EQ(window.page_mass.size(), 4u);
  EXPECT_EQ(window.page_read[0], 0.0);
  EXPECT_NEAR(window.page_mass[0], 64.0 / 248, 0.01);
  const PolicyRecall shape = recall("prefill=a_shape(sinks=64,window=64) store=f32");
  ASSERT_TRUE(shape.prefill);
  EXPECT_LT(shape.prefill->read, 0.95);
  EXPECT_NEAR(shape.prefill->recall, shape.prefill->read, 0.05) << "attention is even here";
  EXPECT_FALSE(recall("keep=sirllm store=f32").refused.empty());
}

}  // namespace
}  // namespace fathom::eval
