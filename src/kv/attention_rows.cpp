#include "kv/attention_rows.h"

#include <algorithm>
#include <vector>

#include "kernel/kernels.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

constexpr size_t kRows = 8;  // queries that share one reading of the keys

}  // namespace

size_t tokens_up_to(const HeadView& head, size_t position) {
  if (!head.positions) return std::min(head.tokens, position + 1);
  const auto* end = head.positions + head.tokens;
  return static_cast<size_t>(std::upper_bound(head.positions, end, static_cast<int32_t>(position)) -
                             head.positions);
}

size_t tokens_behind(const HeadView& head, size_t position) {
  const auto window = static_cast<size_t>(head.window);
  return window == 0 || position < window ? 0 : tokens_up_to(head, position - window);
}

void cap_scores(const HeadView& head, std::span<float> scores) {
  if (head.soft_cap == 0) return;
  kernel::default_kernels().elementwise.soft_cap(scores.data(), scores.size(), head.soft_cap);
}

void attention_weights(const HeadView& head, size_t position, std::span<float> scores) {
  const size_t behind = std::min(tokens_behind(head, position), scores.size());
  std::fill_n(scores.begin(), behind, 0.0f);
  cap_scores(head, scores.subspan(behind));
  softmax(scores.subspan(behind));
}

void key_scores(const HeadView& head, const float* q, size_t first, std::span<float> out) {
  kernel::default_kernels().score.scores({.a = q,
                                          .a_stride = head.head_dim,
                                          .rows = 1,
                                          .b = head.key(first),
                                          .b_stride = head.head_dim,
                                          .columns = out.size(),
                                          .inner = head.head_dim,
                                          .out = out.data(),
                                          .out_stride = out.size()});
}

void for_each_weights_row(const HeadView& head, const QueryView& queries, WeightsRow row) {
  const size_t n = head.tokens, group = queries.group;
  std::vector<float> weights(group * kRows * n);  // [group][kRows][n]
  for (size_t first = 0; first < queries.tokens; first += kRows) {
    const size_t count = std::min(kRows, queries.tokens - first);
    for (size_t g = 0; g < group; ++g) {
      kernel::default_kernels().score.scores({.a = queries.row(first, g, head.head_dim),
                                              .a_stride = queries.stride,
                                              .rows = count,
                                              .b = head.k,
                                              .b_stride = head.head_dim,
                                              .columns = n,
                                              .inner = head.head_dim,
                                              .scale = head.scale,
                                              .out = weights.data() + g * kRows * n,
                                              .out_stride = n});
    }
    for (size_t i = 0; i < count * group; ++i) {
      const size_t query = i / group, g = i % group;
      const size_t at = queries.first + first + query;
      const std::span<float> w(weights.data() + (g * kRows + query) * n, tokens_up_to(head, at));
      attention_weights(head, at, w);
      row(g, first + query, w);
    }
  }
}

void received_attention(const HeadView& head, const QueryView& queries, std::span<float> out) {
  std::fill(out.begin(), out.end(), 0.0f);
  add_received_attention(head, queries, out);
}

void add_received_attention(const HeadView& head, const QueryView& queries, std::span<float> out) {
  const float share = 1.0f / static_cast<float>(queries.group);
  for_each_weights_row(head, queries, [&](size_t, size_t, std::span<const float> w) {
    add_scaled(share, w.data(), w.size(), out.data());
  });
}

}  // namespace fathom::kv
