#include "kv/attention_rows.h"

#include <algorithm>
#include <vector>

#include "kv/vector.h"

namespace fathom::kv {
namespace {

constexpr size_t kRows = 8;
constexpr size_t kBlock = 64;  // keys that stay in L1 while 8 rows read them

}  // namespace

size_t tokens_up_to(const HeadView& head, size_t position) {
  if (!head.positions) return std::min(head.tokens, position + 1);
  const auto* end = head.positions + head.tokens;
  return static_cast<size_t>(std::upper_bound(head.positions, end, static_cast<int32_t>(position)) -
                             head.positions);
}

void key_scores(const HeadView& head, const float* q, size_t first, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = dot(q, head.key(first + i), head.head_dim);
}

void for_each_weights_row(const HeadView& head, const QueryView& queries, WeightsRow row) {
  const size_t rows = queries.group * queries.tokens;
  std::vector<float> weights(kRows * head.tokens);
  for (size_t begin = 0; begin < rows; begin += kRows) {
    const size_t count = std::min(kRows, rows - begin);
    for (size_t at = 0; at < head.tokens; at += kBlock) {
      const size_t keys = std::min(kBlock, head.tokens - at);
      for (size_t r = 0; r < count; ++r) {
        const size_t i = begin + r;
        const float* q = queries.row(i / queries.group, i % queries.group, head.head_dim);
        key_scores(head, q, at, {weights.data() + r * head.tokens + at, keys});
      }
    }
    for (size_t r = 0; r < count; ++r) {
      const size_t i = begin + r, query = i / queries.group;
      const size_t visible = tokens_up_to(head, queries.first + query);
      const std::span<float> w(weights.data() + r * head.tokens, visible);
      for (float& x : w) x *= head.scale;
      softmax(w);
      row(i % queries.group, query, w);
    }
  }
}

void received_attention(const HeadView& head, const QueryView& queries, std::span<float> out) {
  std::fill(out.begin(), out.end(), 0.0f);
  const float share = 1.0f / static_cast<float>(queries.group);
  for_each_weights_row(head, queries, [&](size_t, size_t, std::span<const float> w) {
    add_scaled(share, w.data(), w.size(), out.data());
  });
}

}  // namespace fathom::kv
