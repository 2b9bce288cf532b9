// What a policy costs in bytes: counted on a model, and beside what must be there.
#include "eval/cost.h"

#include <gtest/gtest.h>

#include "eval/library.h"
#include "eval/prose.h"
#include "support/bundled_engine.h"

namespace fathom::eval {
namespace {

const engine::Engine& bundled() { return test::bundled_engine("store=f32"); }

constexpr size_t kLength = 200, kSteps = 4;

CostLine cost_of(const std::string& line) {
  CostOptions options;
  options.steps = kSteps;
  options.question = 8;
  options.batch_steps = 1;
  options.read_bytes_per_second = 1e9;
  const auto text = prose_windows(bundled(), Library(), 1, kLength + 32, 1)[0].tokens;
  return measure_cost(make_subject(bundled(), line), text, kLength, options);
}

TEST(MeasureCost, CountsWhatTheTextTakes) {
  const model::Config& c = bundled().model().config();
  const size_t token = 2 * 4 * c.layers * c.kv_heads * c.head_dim;  // in f32
  const CostLine dense = cost_of("store=f32");
  EXPECT_EQ(dense.f16_bytes, token / 2);
  EXPECT_EQ(dense.filled_bytes, kLength * token);
  EXPECT_EQ(dense.kv_bytes, 256 * token) << "whole pages";
  EXPECT_EQ(dense.peak_kv_bytes, 256 * token);
  EXPECT_EQ(dense.side_bytes, 0u);
  EXPECT_GE(dense.allocated_bytes, dense.kv_bytes);
  EXPECT_EQ(dense.read_bytes_per_second, 1e9);
}

TEST(MeasureCost, CountsWhatLiesBesidePages) {
  const model::Config& c = bundled().model().config();
  const CostLine dense = cost_of("store=f32");
  // A copy of the keys in f32, and the graph.
  const CostLine index = cost_of("store=f32 fetch=index(tokens=16,init=4,local=16)");
  const size_t keys = 4 * (kLength + kSteps) * c.layers * c.kv_heads * c.head_dim;
  EXPECT_GE(index.side_bytes, keys);
  EXPECT_EQ(index.kv_bytes, dense.kv_bytes + index.side_bytes);
  EXPECT_GE(index.peak_kv_bytes, dense.peak_kv_bytes + keys * kLength / (kLength + kSteps));
  // 64 tokens stay, of which some are no neighbours: a page of positions for each head at least.
  const CostLine kept = cost_of("store=f32 keep=snapkv(budget=64)");
  EXPECT_GE(kept.side_bytes, 64 * 4 * c.layers * c.kv_heads);
  EXPECT_LT(kept.kv_bytes, dense.kv_bytes);
  EXPECT_GE(kept.peak_kv_bytes, dense.peak_kv_bytes) << "it was all there before";
}

}  // namespace
}  // namespace fathom::eval
