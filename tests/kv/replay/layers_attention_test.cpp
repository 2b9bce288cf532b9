// Replays of a layer whose attention has a soft cap and a window.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "file/safetensors_writer.h"
#include "kv/replay/attend_lists.h"
#include "kv/replay/replay.h"
#include "support/temp_dir.h"

namespace fathom::kv {
namespace {

constexpr size_t kTokens = 420, kPrompt = 400, kHeads = 4, kKvHeads = 2, kDim = 32;

using Metadata = std::map<std::string, std::string>;

struct MadeRecording {
  explicit MadeRecording(const Metadata& attention) {
    std::mt19937_64 rng(5);
    std::normal_distribution<float> normal;
    for (std::vector<float>* x : {&q, &k, &v}) {
      x->resize(kTokens * (x == &q ? kHeads : kKvHeads) * kDim);
      for (float& number : *x) number = 1.5f * normal(rng);
    }
    const auto view = [](const char* name, uint64_t heads, const std::vector<float>& values) {
      return file::safetensors_view(name, file::ElementType::kF32, {kTokens, heads, kDim},
                                    std::span<const float>(values));
    };
    const file::SafetensorsView tensors[] = {view("q", kHeads, q), view("k", kKvHeads, k),
                                             view("v", kKvHeads, v), view("q_unrotated", kHeads, q),
                                             view("k_unrotated", kKvHeads, k)};
    Metadata metadata = attention;
    metadata["prompt_tokens"] = std::to_string(kPrompt);
    metadata["rope_freq_base"] = "10000";
    metadata["layer"] = "5";
    const test::TempDir folder;
    file::write_safetensors(folder.file("r.safetensors"), tensors, metadata);
    recording.emplace(folder.file("r.safetensors"));
  }
  std::vector<float> q, k, v;
  std::optional<Recording> recording;
};

// Every row by definition, in f64.
std::vector<float> attention(const MadeRecording& made, double cap, size_t window) {
  std::vector<float> out(made.q.size());
  std::vector<double> weights(kTokens);
  for (size_t row = 0; row < kTokens * kHeads; ++row) {
    const size_t at = row / kHeads, kv_head = row % kHeads / (kHeads / kKvHeads);
    double sum = 0;
    for (size_t t = 0; t <= at; ++t) {
      double score = 0;
      for (size_t c = 0; c < kDim; ++c) {
        score += double{made.q[row * kDim + c]} * made.k[(t * kKvHeads + kv_head) * kDim + c];
      }
      score /= std::sqrt(double(kDim));
      if (cap > 0) score = cap * std::tanh(score / cap);
      const bool seen = window == 0 || at - t < window;
      sum += weights[t] = seen ? std::exp(score) : 0;
    }
    for (size_t c = 0; c < kDim; ++c) {
      double x = 0;
      for (size_t t = 0; t <= at; ++t) {
        x += weights[t] / sum * made.v[(t * kKvHeads + kv_head) * kDim + c];
      }
      out[row * kDim + c] = static_cast<float>(x);
    }
  }
  return out;
}

struct Replayed {
  Replayed(const Recording& recording, const std::string& line)
      : policy(make_policy(parse_policy(line), kernel::KvFormat::kF32)),
        replay(recording, policy, pool) {
    run_replay(replay);
  }
  Policy policy;
  ThreadPool pool{2};
  Replay replay;
};

struct Case {
  const char *cap, *window;
};
constexpr Case kCases[] = {{nullptr, nullptr}, {"2.5", nullptr}, {nullptr, "70"},
                           {"2.5", "70"},      {"1e3", "1"},     {"0.001", "9999"}};

Metadata metadata(const Case& c) {
  Metadata out;
  if (c.cap) out["soft_cap"] = c.cap;
  if (c.window) out["window"] = c.window;
  return out;
}

// Methods that leave nothing out leave the layer's attention; but for f32 rounding of what they put
// together, outputs of about 1 are the same.
TEST(ReplayOfALayer, HasItsSoftCapAndWindow) {
  for (const Case& c : kCases) {
    const MadeRecording made(metadata(c));
    const auto want =
        attention(made, c.cap ? std::stod(c.cap) : 0, c.window ? std::stoul(c.window) : 0);
    for (const char* line :
         {"store=f32", "prefill=xattention(threshold=1) keep=snapkv(budget=4096) store=f32",
          "prefill=hyper(min_len=400) keep=streaming(recent=4096) store=f32 fetch=all",
          "prefill=anchor(theta=1000000) store=f32 fetch=quest(budget=4096)"}) {
      const Replayed replayed(*made.recording, line);
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_NEAR(replayed.replay.out[i], want[i], 1e-5)
            << line << " " << (c.cap ? c.cap : "") << " " << (c.window ? c.window : "");
      }
      EXPECT_DOUBLE_EQ(replayed.replay.numbers.at("prefill_keys_read"), 1.0) << line;
      EXPECT_DOUBLE_EQ(replayed.replay.numbers.at("decode_keys_read"), 1.0) << line;
      EXPECT_LT(compare_with_dense(replayed.replay).prompt, 1e-6);
      EXPECT_LT(compare_with_dense(replayed.replay).decode, 1e-6);
    }
  }
}

// Whatever is chosen, nobody reads behind the window.
TEST(ReplayOfALayer, NothingIsReadBehindTheWindow) {
  const MadeRecording made(Metadata{{"window", "50"}, {"soft_cap", "30"}});
  for (const char* line :
       {"prefill=minference(vertical=30,slash=50) keep=h2o(heavy=40,recent=40) store=f32",
        "prefill=hyper(min_len=64,block=16,sample=16) keep=snapkv(budget=64) store=f32",
        "prefill=flexprefill(min_budget=128) store=q8(tail=0) fetch=infllm",
        "prefill=zipvl(tau=0.5) keep=expected(budget=100) store=f32 fetch=quest(budget=64)"}) {
    const Replayed r(*made.recording, line);
    EXPECT_LE(r.replay.numbers.at("prefill_keys_read"), 1.0) << line;
    EXPECT_LE(r.replay.numbers.at("decode_keys_read"), 1.0) << line;
    for (size_t i = 0; i < r.replay.readable.size(); ++i) {
      const auto token = static_cast<int32_t>(kPrompt + i / kHeads);
      const std::vector<int32_t>& keys = r.replay.readable[i];
      ASSERT_FALSE(keys.empty());
      EXPECT_GT(keys.front(), token - 50) << line;
      EXPECT_EQ(keys.back(), token) << line;
    }
    for (const float x : r.replay.out) ASSERT_TRUE(std::isfinite(x)) << line;
  }
}

// FETCH leaves a layer with a window to it, and says so.
TEST(ReplayOfALayer, FetchLeavesItsWindow) {
  const MadeRecording made(Metadata{{"window", "50"}});
  const Replayed r(*made.recording, "store=f32 fetch=quest(budget=16,page=16)");
  EXPECT_DOUBLE_EQ(r.replay.numbers.at("decode_keys_read"), 1.0);
  for (const ReplayTensor& t : r.replay.tensors) {
    if (t.name == "fetched_positions") {
      EXPECT_EQ(t.shape, (std::vector<uint64_t>{20, 2, 50}));
    }
  }
}

// RazorAttention on the recording, whose heads all keep 4 tokens and the last 40.
struct Razor {
  explicit Razor(const Metadata& attention) : made(attention) {
    const test::TempDir folder;
    test::write_file(folder.file("heads.tsv"), "0\t0\n0\t0\n0\t0\n0\t0\n0\t0\n0\t0\n");
    run.emplace(*made.recording, "keep=razor(sinks=4,recent=40,share=0,sparsity=1,heads=" +
                                     folder.file("heads.tsv") + ") store=f32");
  }
  double count() const {
    double sum = 0;
    for (const Replay::StepHead& head : run->replay.step_heads) sum += head.extra.count;
    return sum;
  }
  MadeRecording made;
  std::optional<Replayed> run;
};

// As in a cache: a token without a position could not be left behind by a window.
TEST(ReplayOfALayer, NothingStandsForTokensBehindTheWindow) {
  EXPECT_GT(Razor({}).count(), 0);
  EXPECT_EQ(Razor(Metadata{{"window", "50"}}).count(), 0);
}

// What stands for dropped tokens has the cap as every key has: where all scores are alike, it
// weighs as much as so many keys.
TEST(ReplayOfALayer, WhatStandsForTokensIsCapped) {
  const Razor razor(Metadata{{"soft_cap", "0.001"}});
  const Replay& replay = razor.run->replay;
  constexpr size_t kLast = kTokens - 1, kStep = kLast - kPrompt;
  const ExtraToken& extra = replay.step_heads[kStep * kKvHeads].extra;
  const double keys = double(replay.readable[kStep * kHeads].size());
  ASSERT_GT(extra.count, 100);
  EXPECT_EQ(extra.count + keys, double(kTokens));
  // ln of so many terms, each between e^-0.001 and e^0.001.
  EXPECT_NEAR(replay.lse[kLast * kHeads], std::log(double(kTokens)), 1.1e-3);
}

}  // namespace
}  // namespace fathom::kv
