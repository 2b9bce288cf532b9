#include "kv/fetch/page_bounds.h"

#include <algorithm>

#include "kernel/kernels.h"

namespace fathom::kv {

void PageBounds::update(const HeadView& head) {
  const size_t d = head.head_dim;
  const size_t known = std::min(complete_, head.tokens / page_);
  pages_ = (head.tokens + page_ - 1) / page_;
  complete_ = head.tokens / page_;
  low_.resize(pages_ * d);
  high_.resize(pages_ * d);
  for (size_t p = known; p < pages_; ++p) {
    float* low = low_.data() + p * d;
    float* high = high_.data() + p * d;
    std::copy_n(head.key(p * page_), d, low);
    std::copy_n(head.key(p * page_), d, high);
    for (size_t t = p * page_ + 1; t < std::min((p + 1) * page_, head.tokens); ++t) {
      const float* k = head.key(t);
      for (size_t c = 0; c < d; ++c) {
        low[c] = std::min(low[c], k[c]);
        high[c] = std::max(high[c], k[c]);
      }
    }
  }
}

void PageBounds::score(const HeadView& head, const QueryView& query, std::vector<float>& scores) {
  const size_t d = head.head_dim, group = query.group;
  positive_.resize(group * d);
  negative_.resize(group * d);
  for (size_t g = 0; g < group; ++g) {
    const float* q = query.row(0, g, d);
    for (size_t c = 0; c < d; ++c) positive_[g * d + c] = std::max(q[c], 0.0f);
    for (size_t c = 0; c < d; ++c) negative_[g * d + c] = std::min(q[c], 0.0f);
  }
  std::vector<float>& upper = scores;
  upper.resize(2 * group * pages_);  // the second half: the negative parts
  const auto product = [&](const std::vector<float>& q, const std::vector<float>& k, size_t at) {
    kernel::default_kernels().score.scores({.a = q.data(),
                                            .a_stride = d,
                                            .rows = group,
                                            .b = k.data(),
                                            .b_stride = d,
                                            .columns = pages_,
                                            .inner = d,
                                            .out = upper.data() + at,
                                            .out_stride = pages_});
  };
  if (pages_ > 0) product(positive_, high_, 0), product(negative_, low_, group * pages_);
  const float* lower = upper.data() + group * pages_;
  for (size_t i = 0; i < group * pages_; ++i) upper[i] += lower[i];
  upper.resize(group * pages_);
}

void max_over_group(size_t group, std::vector<float>& scores) {
  const size_t n = scores.size() / group;
  for (size_t g = 1; g < group; ++g) {
    for (size_t i = 0; i < n; ++i) scores[i] = std::max(scores[i], scores[g * n + i]);
  }
  scores.resize(n);
}

}  // namespace fathom::kv
