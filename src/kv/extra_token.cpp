#include "kv/extra_token.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kv/vector.h"

namespace fathom::kv {

void add_to_extra(ExtraToken& into, std::span<const float> k, std::span<const float> v,
                  double count) {
  into.k.resize(k.size());
  into.v.resize(v.size());
  into.count += count;
  const auto share = static_cast<float>(count / into.count);
  for (size_t c = 0; c < k.size(); ++c) {
    into.k[c] += share * (k[c] - into.k[c]);
    into.v[c] += share * (v[c] - into.v[c]);
  }
}

void join_extra_row(const ExtraToken& extra, const AttendLayer& layer, const float* q,
                    const kernel::AttendState& row) {
  const size_t d = extra.k.size();
  float score = dot(q, extra.k.data(), d) * layer.scale;
  if (layer.soft_cap > 0) score = layer.soft_cap * std::tanh(score / layer.soft_cap);
  score = score * std::numbers::log2e_v<float> + static_cast<float>(std::log2(extra.count));
  const float top = std::max(*row.max, score);
  const float old = std::exp2(*row.max - top), fresh = std::exp2(score - top);
  *row.max = top;
  *row.sum = *row.sum * old + fresh;
  for (size_t c = 0; c < d; ++c) row.out[c] = row.out[c] * old + fresh * extra.v[c];
}

}  // namespace fathom::kv
