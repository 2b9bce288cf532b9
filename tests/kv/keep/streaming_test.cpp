#include "kv/keep/streaming.h"

#include "kv/keep/reference.h"
#include "kv/rope.h"

namespace fathom::kv::test {
namespace {

// The authors' positions are cache slots: key slot i is at position i, the query at 256.
std::vector<float> slot_output(const HeadView& head, const QueryView& queries, size_t g) {
  std::vector<float> keys(head.tokens * head.head_dim), q(head.head_dim);
  for (size_t t = 0; t < head.tokens; ++t) {
    const float* k = head.k_unrotated + t * head.head_dim;
    Rotation(*head.rope, double(t)).apply(k, head.head_dim, keys.data() + t * head.head_dim);
  }
  const float* unrotated = queries.row_unrotated(0, g, head.head_dim);
  Rotation(*head.rope, double(head.tokens - 1)).apply(unrotated, head.head_dim, q.data());
  HeadView slots = head;
  slots.k = keys.data();
  return attend(slots, q.data());
}

TEST(Streaming, KeepsAsTheAuthorsAtEveryStep) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto keep =
      make_streaming(Parameters(streaming_info(), {{"sinks", "4"}, {"recent", "252"}}, "test"));
  KeptLayer layer(recorded_layer(), 1);
  std::vector<std::vector<int32_t>> kept(4);
  std::vector<float> outputs;
  keep->select(layer.append(2048, keep->needs()), kept);
  layer.apply(*keep, kept);
  for (size_t step = 0; step < 8; ++step) {
    const auto want = expected_row("streaming_llm.kept", step, 256);
    for (size_t h = 0; h < 4; ++h) {
      ASSERT_EQ(std::vector<int32_t>(layer.positions(h).begin(), layer.positions(h).end()), want);
    }
    const KeepView& view = layer.append(1, {.window = 1});
    for (size_t h = 0; h < 8; ++h) {
      const auto row = slot_output(view.heads[h / 2], view.queries[h / 2], h % 2);
      outputs.insert(outputs.end(), row.begin(), row.end());
    }
    keep->select(view, kept);
    layer.apply(*keep, kept);
  }
  expect_close(outputs, expected_floats("streaming_llm.decode_out"), {0, 1e-3}, "decode_out");
}

}  // namespace
}  // namespace fathom::kv::test
