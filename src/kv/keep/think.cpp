#include "kv/keep/think.h"

#include "kv/top_k.h"

namespace fathom::kv {
namespace {

void add_squares(const float* x, std::vector<float>& sums) {
  for (size_t c = 0; c < sums.size(); ++c) sums[c] += x[c] * x[c];
}

}  // namespace

std::vector<float> channel_scores(const HeadView& head, const QueryView& window) {
  std::vector<float> queries(head.head_dim), keys(head.head_dim);
  for (size_t t = 0; t < window.tokens; ++t) {
    for (size_t g = 0; g < window.group; ++g) {
      add_squares(window.row(t, g, head.head_dim), queries);
    }
  }
  // Blocks of keys, so that f32 sums of long texts stay exact to a few ulp.
  constexpr size_t kBlock = 256;
  std::vector<float> block(head.head_dim);
  for (size_t t = 0; t < head.tokens; ++t) {
    add_squares(head.key(t), block);
    if ((t + 1) % kBlock != 0 && t + 1 != head.tokens) continue;
    for (size_t c = 0; c < head.head_dim; ++c) keys[c] += block[c];
    block.assign(head.head_dim, 0.0f);
  }
  const auto rows = static_cast<float>(window.tokens * window.group);
  for (size_t c = 0; c < head.head_dim; ++c) {
    queries[c] = queries[c] / rows * (keys[c] / static_cast<float>(head.tokens));
  }
  return queries;
}

std::vector<int32_t> top_channels(std::span<const float> scores, size_t kept) {
  return top_k(scores, kept);
}

std::vector<int32_t> kept_channels(std::span<const float> scores, double ratio) {
  const auto dropped = static_cast<size_t>(ratio * static_cast<double>(scores.size()));
  return top_channels(scores, scores.size() - dropped);
}

}  // namespace fathom::kv
