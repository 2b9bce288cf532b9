// KEEP and FETCH as stages of a replay: decisions and outputs are the methods' own.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "kv/replay/replay.h"
#include "support/decisions.h"

namespace fathom::kv {
namespace {

using namespace fathom::test;  // NOLINT

struct Replayed {
  Policy policy;
  ThreadPool pool{1};
  Replay replay;
  explicit Replayed(std::string_view line)
      : policy(make_policy(parse_policy(line), kernel::KvFormat::kF16)),
        replay(recorded_layer(), policy, pool) {
    run_replay(replay);
  }
  std::vector<int64_t> positions(std::string_view name) const {
    for (const ReplayTensor& t : replay.tensors) {
      if (t.name != name) continue;
      const auto& all = std::get<std::vector<int32_t>>(t.values);
      return {all.begin(), all.end()};
    }
    return {};
  }
  std::span<const float> steps() const { return std::span(replay.out).subspan(2048 * 8 * 32); }
};

TEST(Replay, KeepDecidesAndAttends) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Replayed run("keep=snapkv(budget=256) store=f32");
  const auto kept = run.positions("kept_positions");  // [9, 4, 264]
  const auto want = expected_integers("snapkv.max7.kept");
  ASSERT_EQ(kept.size(), 9u * 4 * 264);
  for (size_t h = 0; h < 4; ++h) {
    for (size_t i = 0; i < 264; ++i) {
      ASSERT_EQ(kept[h * 264 + i], i < 256 ? want[h * 256 + i] : -1);
    }
  }
  expect_close(run.steps(), expected_floats("snapkv.max7.decode_out"), {0, 1e-5}, "decode_out");
}

TEST(Replay, MergedValuesAreRead) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Replayed run("keep=merging(budget=256,pool=avg,kernel=5,reach=0) store=f32");
  expect_close(run.steps(), expected_floats("merging.decode_out"), {0, 1e-4}, "decode_out");
}

TEST(Replay, FetchDecidesAndAttends) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Replayed run("fetch=quest(budget=256,sinks=0,recent=0,heads=each) store=f32");
  expect_close(run.steps(), expected_floats("quest.p16.decode_out"), {0, 5e-5}, "decode_out");
  EXPECT_LT(run.replay.numbers.at("decode_keys_read"), 0.13);
}

TEST(Replay, FetchReadsWhatKeepLeft) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Replayed run("keep=snapkv(budget=256) fetch=quest(budget=64) store=f32");
  const auto kept = run.positions("kept_positions");
  for (const int64_t p : run.positions("fetched_positions")) {
    EXPECT_TRUE(p >= 2048 || std::find(kept.begin(), kept.end(), p) != kept.end()) << p;
  }
}

TEST(Replay, WhatDoesNotGoTogetherIsRefused) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  EXPECT_THROW(Replayed("keep=streaming fetch=quest"), Error);
  EXPECT_THROW(Replayed("keep=snapkv fetch=infllm"), Error);
  EXPECT_THROW(Replayed("keep=sirllm"), Error);
  EXPECT_THROW(Replayed("fetch=sentence"), Error);
}

}  // namespace
}  // namespace fathom::kv
