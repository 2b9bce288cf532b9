#include "support/kv_layer.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "kv/attention_rows.h"
#include "kv/rope.h"

namespace fathom::test {

RandomLayer::RandomLayer(size_t tokens, size_t kv_heads, uint32_t seed)
    : tokens_(tokens), kv_heads_(kv_heads) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  const size_t d = kHeadDim;
  k_unrotated_.resize(kv_heads * tokens * d);
  v_.resize(k_unrotated_.size());
  q_unrotated_.resize(tokens * kv_heads * kGroup * d);
  for (size_t t = 0; t < tokens; ++t) {  // by token, so that a longer layer begins as a shorter one
    for (size_t h = 0; h < kv_heads; ++h) {
      for (size_t c = 0; c < d; ++c) {
        k_unrotated_[(h * tokens + t) * d + c] = normal(rng);
        v_[(h * tokens + t) * d + c] = normal(rng);
      }
    }
    float* q = q_unrotated_.data() + t * kv_heads * kGroup * d;
    for (size_t i = 0; i < kv_heads * kGroup * d; ++i) q[i] = normal(rng);
    surprise_.push_back(std::fabs(normal(rng)));
    if (t % 11 == 10) sentence_ends_.push_back(int32_t(t + 1));
  }
  for (size_t i = 0; i < d / 2; ++i) frequencies_.push_back(std::pow(1e4, -2.0 * double(i) / d));
  rope_ = {frequencies_, 1.0, kernel::RopeStyle::kHalf};
  text_ = {surprise_, sentence_ends_};
  rotate_all();
}

void RandomLayer::rotate_all() {
  k_ = k_unrotated_;
  q_ = q_unrotated_;
  for (size_t t = 0; t < tokens_; ++t) {
    const kv::Rotation rotation(rope_, double(t));
    for (size_t h = 0; h < kv_heads_; ++h) {
      float* k = k_.data() + (h * tokens_ + t) * kHeadDim;
      rotation.apply(k, kHeadDim, k);
    }
    for (size_t h = 0; h < kv_heads_ * kGroup; ++h) {
      float* q = q_.data() + (t * kv_heads_ * kGroup + h) * kHeadDim;
      rotation.apply(q, kHeadDim, q);
    }
  }
}

// The direction lies in the slowest pair, which hardly turns within the tests' lengths: unrotated
// and rotated forms both see the needle.
void RandomLayer::plant(size_t token, float strength) {
  const size_t slow = kHeadDim / 2 - 1;
  for (size_t i = 0; i < q_unrotated_.size(); i += kHeadDim) q_unrotated_[i + slow] = strength;
  for (size_t h = 0; h < kv_heads_; ++h) {
    float* k = k_unrotated_.data() + (h * tokens_ + token) * kHeadDim;
    std::fill_n(k, kHeadDim, 0.0f);
    k[slow] = strength;
    std::copy_n(k, kHeadDim, v_.data() + (h * tokens_ + token) * kHeadDim);
  }
  rotate_all();
}

kv::HeadView RandomLayer::head(size_t kv_head, size_t tokens) const {
  kv::HeadView view;
  const size_t at = kv_head * tokens_ * kHeadDim;
  view.layer = layer_;
  view.kv_head = kv_head;
  view.head_dim = kHeadDim;
  view.tokens = tokens;
  view.k = k_.data() + at;
  view.v = v_.data() + at;
  view.k_unrotated = k_unrotated_.data() + at;
  view.scale = 0.25f;
  view.rope = &rope_;
  view.text = &text_;
  return view;
}

kv::QueryView RandomLayer::queries(size_t kv_head, size_t first, size_t count) const {
  kv::QueryView view;
  view.group = kGroup;
  view.tokens = count;
  view.first = first;
  view.stride = kv_heads_ * kGroup * kHeadDim;
  const size_t at = first * view.stride + kv_head * kGroup * kHeadDim;
  view.q = q_.data() + at;
  view.q_unrotated = q_unrotated_.data() + at;
  return view;
}

kv::KeepView RandomLayer::keep_view(const kv::KeepNeeds& needs, size_t layers) const {
  heads_.clear(), queries_.clear(), received_.clear(), received_rows_.clear();
  const size_t window = std::min(needs.window, tokens_);
  for (size_t h = 0; h < kv_heads_; ++h) {
    heads_.push_back(head(h));
    queries_.push_back(queries(h, tokens_ - window, window));
    received_.emplace_back(tokens_);
    if (needs.received) kv::received_attention(heads_[h], queries(h, 0, tokens_), received_[h]);
  }
  for (const auto& r : received_) received_rows_.push_back(r.data());
  return {layers, tokens_, heads_, queries_, received_rows_};
}

}  // namespace fathom::test
