#include "kv/replay/attend_lists.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fathom::kv {

double capped(const HeadView& head, double score) {
  return head.soft_cap > 0 ? head.soft_cap * std::tanh(score / head.soft_cap) : score;
}

void visible_keys(const RowList& list, size_t query, std::vector<int32_t>& keys) {
  const int32_t last = static_cast<int32_t>(query);
  const auto add = [&](int32_t key) {
    const bool masked = list.window > 0 && key >= list.sinks && last - key >= list.window;
    if (key <= last && !masked) keys.push_back(key);
  };
  keys.clear();
  auto column = list.columns.begin();
  for (const int32_t piece : list.pieces) {
    for (; column != list.columns.end() && *column < piece; ++column) add(*column);
    for (int32_t i = 0; i < static_cast<int32_t>(kPieceTokens); ++i) add(piece + i);
  }
  for (; column != list.columns.end(); ++column) add(*column);
}

void drop_before(size_t first, std::vector<int32_t>& keys, std::vector<float>& counts) {
  size_t left = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (static_cast<size_t>(keys[i]) < first) continue;
    keys[left] = keys[i];
    if (!counts.empty()) counts[left] = counts[i];
    ++left;
  }
  keys.resize(left);
  if (!counts.empty()) counts.resize(left);
}

double attend_keys(const HeadView& head, const float* q, std::span<const int32_t> keys, float* out,
                   std::span<const float> counts) {
  const size_t d = head.head_dim;
  std::vector<double> weights(keys.size()), sums(d);
  double most = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < keys.size(); ++i) {
    const float* k = head.key(static_cast<size_t>(keys[i]));
    double score = 0;
    for (size_t c = 0; c < d; ++c) score += double{q[c]} * k[c];
    weights[i] = capped(head, score * head.scale);
    most = std::max(most, weights[i]);
  }
  double total = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    const double weight = std::exp(weights[i] - most) * (counts.empty() ? 1.0 : counts[i]);
    const float* v = head.v + static_cast<size_t>(keys[i]) * d;
    for (size_t c = 0; c < d; ++c) sums[c] += weight * v[c];
    total += weight;
  }
  for (size_t c = 0; c < d; ++c) out[c] = keys.empty() ? 0.0f : static_cast<float>(sums[c] / total);
  return keys.empty() ? most : most + std::log(total);
}

}  // namespace fathom::kv
