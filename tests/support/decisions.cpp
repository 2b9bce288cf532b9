#include "support/decisions.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fathom::test {

void expect_close(std::span<const float> got, std::span<const float> want, Tolerance tolerance,
                  const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  double worst = -1;
  size_t at = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double w = want[i];
    const double allowed = tolerance.relative * std::fabs(w) + tolerance.absolute;
    const double over = std::fabs(static_cast<double>(got[i]) - w) / std::max(allowed, 1e-30);
    if (!(over <= worst)) worst = over, at = i;
  }
  if (got.empty()) return;
  EXPECT_LE(worst, 1.0) << what << ": at " << at << " " << got[at] << " is not " << want[at];
}

bool expect_same_choice(std::span<const int32_t> got, std::span<const int32_t> want,
                        std::span<const float> scores, Tolerance tolerance) {
  EXPECT_EQ(got.size(), want.size());
  std::vector<int32_t> differ;
  std::set_symmetric_difference(got.begin(), got.end(), want.begin(), want.end(),
                                std::back_inserter(differ));
  if (differ.empty() || want.empty()) return differ.empty();
  float boundary = scores[static_cast<size_t>(want[0])];
  for (const int32_t i : want) boundary = std::min(boundary, scores[static_cast<size_t>(i)]);
  const double allowed =
      tolerance.relative * std::fabs(static_cast<double>(boundary)) + tolerance.absolute;
  for (const int32_t i : differ) {
    EXPECT_NEAR(scores[static_cast<size_t>(i)], boundary, allowed)
        << "index " << i << " is in one choice only";
  }
  return false;
}

std::vector<int32_t> expected_row(const std::string& name, size_t row, size_t width) {
  const std::vector<int64_t> all = expected_integers(name);
  std::vector<int32_t> out;
  for (size_t i = row * width; i < (row + 1) * width; ++i) {
    if (all.at(i) >= 0) out.push_back(static_cast<int32_t>(all[i]));
  }
  return out;
}

std::vector<float> expected_score_row(const std::string& name, size_t row, size_t width) {
  const std::vector<float> all = expected_floats(name);
  return {all.begin() + static_cast<ptrdiff_t>(row * width),
          all.begin() + static_cast<ptrdiff_t>((row + 1) * width)};
}

std::vector<float> attend(const kv::HeadView& head, const float* q,
                          std::span<const int32_t> indices) {
  std::vector<int32_t> all(head.tokens);
  std::iota(all.begin(), all.end(), 0);
  if (indices.empty()) indices = all;
  const size_t d = head.head_dim;
  std::vector<double> weights;
  double most = -INFINITY;
  for (const int32_t t : indices) {
    double sum = 0;
    for (size_t c = 0; c < d; ++c) sum += double(q[c]) * double(head.key(size_t(t))[c]);
    weights.push_back(sum * double(head.scale));
    most = std::max(most, weights.back());
  }
  double total = 0;
  for (double& w : weights) total += w = std::exp(w - most);
  std::vector<double> out(d);
  for (size_t i = 0; i < indices.size(); ++i) {
    for (size_t c = 0; c < d; ++c) {
      out[c] += weights[i] / total * double(head.value(size_t(indices[i]))[c]);
    }
  }
  return {out.begin(), out.end()};
}

std::vector<float> decode_outputs(kv::KeptLayer& layer, size_t steps) {
  std::vector<float> out;
  for (size_t s = 0; s < steps; ++s) {
    const kv::KeepView& view = layer.append(1, {.window = 1});
    for (size_t h = 0; h < layer.heads(); ++h) {
      for (size_t g = 0; g < view.queries[h].group; ++g) {
        const std::vector<float> row =
            attend(view.heads[h], view.queries[h].row(0, g, view.heads[h].head_dim));
        out.insert(out.end(), row.begin(), row.end());
      }
    }
  }
  return out;
}

}  // namespace fathom::test
