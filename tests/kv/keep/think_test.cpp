#include "kv/keep/think.h"

#include "kv/keep/reference.h"

namespace fathom::kv::test {
namespace {

TEST(Think, ChannelsAreKvpress) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  KeptLayer layer(recorded_layer(), 1);
  const KeepView& view = layer.append(2048, {.window = 32});
  std::vector<std::vector<int32_t>> kept;
  for (size_t h = 0; h < 4; ++h) {
    const auto scores = channel_scores(view.heads[h], view.queries[h]);
    expect_close(scores, expected_score_row("think.scores", h, 32), {1e-5, 0}, "score");
    kept.push_back(kept_channels(scores, 0.5));
    EXPECT_EQ(kept[h], expected_row("think.kept", h, 16));
  }
  // The first 2016 keys hold the kept channels only.
  std::vector<float> outputs;
  for (size_t s = 0; s < 8; ++s) {
    for (size_t h = 0; h < 8; ++h) {
      HeadView head = recorded_layer().head(h / 2, 2049 + s);
      std::vector<float> k(head.k, head.k + head.tokens * 32);
      for (size_t t = 0; t < 2016; ++t) {
        std::vector<float> thin(32);
        for (const int32_t c : kept[h / 2]) thin[size_t(c)] = k[t * 32 + size_t(c)];
        std::copy(thin.begin(), thin.end(), k.begin() + ptrdiff_t(t * 32));
      }
      head.k = k.data();
      const auto row = attend(head, recorded_layer().queries(h / 2, 2048 + s, 1).row(0, h % 2, 32));
      outputs.insert(outputs.end(), row.begin(), row.end());
    }
  }
  expect_close(outputs, expected_floats("think.decode_out"), {0, 1e-5}, "decode_out");
}

// The authors leave the last 32 keys out of the scores, and repeat keys for every query head.
TEST(Think, EachQueryHeadsChannelsAreTheAuthors) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  KeptLayer layer(recorded_layer(), 1, Heads::kPerQueryHead);
  const KeepView& view = layer.append(2048, {.window = 32});
  for (size_t h = 0; h < 8; ++h) {
    HeadView head = view.heads[h];
    head.tokens -= 32;
    EXPECT_EQ(kept_channels(channel_scores(head, view.queries[h]), 0.5),
              expected_row("think.per_query_head.kept", h, 16));
  }
}

TEST(Think, NothingIsDroppedAtRatioZero) {
  EXPECT_EQ(kept_channels(std::vector<float>{3, 1, 2}, 0.0), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(kept_channels(std::vector<float>{3, 1, 2}, 0.34), (std::vector<int32_t>{0, 2}));
}

}  // namespace
}  // namespace fathom::kv::test
