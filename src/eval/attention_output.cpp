#include "eval/attention_output.h"

#include <algorithm>
#include <cmath>

#include "eval/statistics.h"
#include "kv/vector.h"

namespace fathom::eval {
namespace {

double score_of(const float* q, const float* k, size_t head_dim, const ScoreShape& shape) {
  const double x = double(kv::dot(q, k, head_dim)) * shape.scale;
  return shape.soft_cap > 0 ? shape.soft_cap * std::tanh(x / shape.soft_cap) : x;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return values.empty() ? 0 : sum / double(values.size());
}

}  // namespace

void AttentionOutput::join(double score, std::span<const float> v) {
  const double top = std::max(lse, score);
  const double both = top + std::log(std::exp(lse - top) + std::exp(score - top));
  const double old = std::exp(lse - both), fresh = std::exp(score - both);
  out.resize(v.size());
  for (size_t c = 0; c < v.size(); ++c) out[c] = old * out[c] + fresh * v[c];
  lse = both;
}

AttentionOutput attend_to(const kv::HeadView& head, const float* q, std::span<const kv::Run> runs) {
  const ScoreShape shape{head.scale, head.soft_cap};
  const auto each = [&](auto use) {
    for (const kv::Run& run : runs) {
      for (int32_t i = run.first; i < run.end; ++i) use(static_cast<size_t>(i));
    }
  };
  std::vector<double> scores;
  each([&](size_t i) { scores.push_back(score_of(q, head.key(i), head.head_dim, shape)); });
  AttentionOutput out;
  out.out.resize(head.head_dim);
  if (scores.empty()) return out;
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& s : scores) sum += s = std::exp(s - top);
  size_t at = 0;
  each([&](size_t i) {
    const double weight = scores[at++] / sum;
    for (size_t c = 0; c < head.head_dim; ++c) out.out[c] += weight * head.value(i)[c];
  });
  out.lse = top + std::log(sum);
  return out;
}

void join_extra(AttentionOutput& to, const kv::ExtraToken& extra, const float* q,
                const ScoreShape& shape) {
  if (extra.count == 0) return;
  to.join(score_of(q, extra.k.data(), extra.k.size(), shape) + std::log(extra.count), extra.v);
}

kv::ExtraToken extra_of(const kv::HeadCache& head, kv::HeadId id) {
  kv::ExtraToken out = head.extra();
  if (out.count == 0) return out;
  const auto leave = [&](const kv::Frame* frame, std::vector<float>& row) {
    if (frame) frame->leave(id, row.data(), row.size());
  };
  leave(head.codec().key_frame(), out.k);
  leave(head.codec().value_frame(), out.v);
  return out;
}

OutputDifference compare_outputs(const AttentionOutput& reference, const AttentionOutput& other) {
  double error = 0, size = 0;
  for (size_t c = 0; c < reference.out.size(); ++c) {
    const double moved = other.out[c] - reference.out[c];
    error += moved * moved;
    size += reference.out[c] * reference.out[c];
  }
  return {size > 0 ? std::sqrt(error / size) : error > 0 ? 1.0 : 0.0, other.lse - reference.lse};
}

AttentionLosses::Samples& AttentionLosses::at(size_t layer, size_t kv_head) {
  const auto key = [](const Samples& s) { return std::pair(s.layer, s.kv_head); };
  const auto it = std::lower_bound(heads_.begin(), heads_.end(), std::pair(layer, kv_head),
                                   [&](const Samples& s, const auto& k) { return key(s) < k; });
  if (it != heads_.end() && key(*it) == std::pair(layer, kv_head)) return *it;
  return *heads_.insert(it, Samples{layer, kv_head, {}, {}, {}});
}

void AttentionLosses::add(size_t layer, size_t kv_head, const OutputDifference& difference) {
  Samples& s = at(layer, kv_head);
  s.errors.push_back(difference.error);
  s.gaps.push_back(difference.lse_gap);
}

void AttentionLosses::add_mass(size_t layer, size_t kv_head, double mass) {
  at(layer, kv_head).masses.push_back(mass);
}

void AttentionLosses::add(const AttentionLosses& other) {
  for (const Samples& s : other.heads_) at(s.layer, s.kv_head).add(s);
}

void AttentionLosses::Samples::add(const Samples& other) {
  const auto append = [](std::vector<double>& to, const std::vector<double>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  append(errors, other.errors);
  append(gaps, other.gaps);
  append(masses, other.masses);
}

AttentionLoss AttentionLosses::loss_of(const Samples& samples) {
  std::vector<double> sorted = samples.errors;
  std::sort(sorted.begin(), sorted.end());
  AttentionLoss out;
  if (!sorted.empty()) {
    out.error_median = quantile(sorted, 0.5);
    out.error_p95 = quantile(sorted, 0.95);
  }
  out.lse_gap = mean_of(samples.gaps);
  out.mass = mean_of(samples.masses);
  return out;
}

AttentionLoss AttentionLosses::all() const {
  Samples together;
  for (const Samples& s : heads_) together.add(s);
  return loss_of(together);
}

std::vector<HeadLoss> AttentionLosses::heads() const {
  std::vector<HeadLoss> out;
  for (const Samples& s : heads_) out.push_back({s.layer, s.kv_head, loss_of(s)});
  return out;
}

}  // namespace fathom::eval
