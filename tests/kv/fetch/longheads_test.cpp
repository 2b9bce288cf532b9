#include "kv/fetch/longheads.h"

#include <gtest/gtest.h>

#include "support/decisions.h"
#include "support/kv_layer.h"

namespace fathom::kv {
namespace {

using namespace fathom::test;  // NOLINT

// The same steps with the slow definition of attention.
TEST(LongHeads, RepresentationIsItsDefinition) {
  const RandomLayer layer(24, 1, 4);
  const HeadView head = layer.head(0);
  const size_t d = head.head_dim;
  std::vector<float> q;
  for (size_t t = 0; t < 24; ++t) {
    const float* row = layer.queries(0, t, 1).row(0, 1, d);
    q.insert(q.end(), row, row + d);
  }
  const Chunk chunk{24, d, q.data(), head.k, head.v, head.k_unrotated, head.scale};
  std::vector<float> mean(d);
  for (size_t t = 0; t < 24; ++t) {
    const auto out = attend(head, q.data() + t * d);
    for (size_t c = 0; c < d; ++c) mean[c] += out[c] / 24;
  }
  HeadView local = head;
  local.k = local.v = head.k_unrotated;
  expect_close(chunk_representation(chunk), attend(local, mean.data()), {1e-4, 1e-5}, "chunk");
}

TEST(LongHeads, TheFirstChunkTheLastAndTheTailAreRead) {
  const RandomLayer layer(405, 1, 4);
  const auto policy = make_longheads(Parameters(
      longheads_info(), {{"budget", "80"}, {"chunk", "16"}, {"heads", "group"}}, "test"));
  const auto index = policy->make_index();
  index->update(layer.head(0, 400));
  index->observe(layer.head(0, 400), layer.queries(0, 0, 400), {});
  for (size_t n = 401; n <= 405; ++n) {
    std::vector<Runs> runs(1);
    index->update(layer.head(0, n));
    index->select(layer.head(0, n), layer.queries(0, n - 1, 1), {}, runs);
    EXPECT_EQ(runs[0].front().first, 0);
    EXPECT_GE(runs[0].front().end, 16);
    EXPECT_LE(runs[0].back().first, 384);
    EXPECT_EQ(runs[0].back().end, int32_t(n));
    index->observe(layer.head(0, n), layer.queries(0, n - 1, 1), {});
  }
}

}  // namespace
}  // namespace fathom::kv
