#include "kv/fetch/page_bounds.h"

#include <algorithm>

#include "base/half.h"
#include "kernel/kernels.h"

namespace fathom::kv {

namespace {

// Smallest and largest entries lie side by side, each padded with 0.
size_t half_width(size_t head_dim) { return (head_dim + 15) / 16 * 16; }

}  // namespace

void ExactRows::resize(size_t rows, size_t width) {
  rows_ = rows;
  width_ = width;
  if (kind_ == Kind::kFloat) {
    floats_.resize(rows * width);
  } else {
    words_.resize(rows * width);
  }
}

bool ExactRows::holds(std::span<const float> numbers) const {
  if (kind_ == Kind::kFloat) return true;
  return std::all_of(numbers.begin(), numbers.end(), [&](float x) {
    return (kind_ == Kind::kBFloat ? to_float(to_bfloat(x)) : to_float(to_half(x))) == x;
  });
}

float ExactRows::at(size_t i) const {
  if (kind_ == Kind::kFloat) return floats_[i];
  return kind_ == Kind::kBFloat ? to_float(BFloat{words_[i]}) : to_float(Half{words_[i]});
}

void ExactRows::store(size_t i, float x) {
  if (kind_ == Kind::kFloat) {
    floats_[i] = x;
  } else {
    words_[i] = kind_ == Kind::kBFloat ? to_bfloat(x).bits : to_half(x).bits;
  }
}

void ExactRows::become(Kind kind) {
  ExactRows next;
  next.kind_ = kind;
  next.resize(rows_, width_);
  for (size_t i = 0; i < rows_ * width_; ++i) next.store(i, at(i));
  *this = std::move(next);
}

void ExactRows::set(size_t row, std::span<const float> numbers) {
  if (!holds(numbers)) {
    // Only the first rows may choose: of the others some would not fit any more.
    const bool first = row == 0 && kind_ == Kind::kBFloat;
    become(first ? Kind::kHalf : Kind::kFloat);
    if (!holds(numbers)) become(Kind::kFloat);
  }
  for (size_t i = 0; i < numbers.size(); ++i) store(row * width_ + i, numbers[i]);
}

void ExactRows::multiply(std::span<const float> queries, size_t count, std::span<float> out) const {
  const kernel::ScoreKernels& kernels = kernel::default_kernels().score;
  const auto args = [&]<class B>(const B* b) {
    return kernel::ScoreArgsOf<float, B>{.a = queries.data(),
                                         .a_stride = width_,
                                         .rows = count,
                                         .b = b,
                                         .b_stride = width_,
                                         .columns = rows_,
                                         .inner = width_,
                                         .out = out.data(),
                                         .out_stride = rows_};
  };
  switch (kind_) {
    case Kind::kBFloat:
      return kernels.bfloat_scores(args(reinterpret_cast<const BFloat*>(words_.data())));
    case Kind::kHalf:
      return kernels.half_scores(args(reinterpret_cast<const Half*>(words_.data())));
    case Kind::kFloat:
      return kernels.scores(args(floats_.data()));
  }
}

void PageBounds::update(const HeadView& head) {
  const size_t d = head.head_dim, half = half_width(d);
  const size_t known = std::min(complete_, head.tokens / page_);
  pages_ = (head.tokens + page_ - 1) / page_;
  complete_ = head.tokens / page_;
  bounds_.resize(pages_, 2 * half);
  row_.assign(2 * half, 0);
  float *high = row_.data(), *low = high + half;
  for (size_t p = known; p < pages_; ++p) {
    std::copy_n(head.key(p * page_), d, low);
    std::copy_n(head.key(p * page_), d, high);
    for (size_t t = p * page_ + 1; t < std::min((p + 1) * page_, head.tokens); ++t) {
      const float* k = head.key(t);
      for (size_t c = 0; c < d; ++c) {
        low[c] = std::min(low[c], k[c]);
        high[c] = std::max(high[c], k[c]);
      }
    }
    bounds_.set(p, row_);
  }
}

void PageBounds::score(const HeadView& head, const QueryView& query, std::vector<float>& scores) {
  const size_t d = head.head_dim, half = half_width(d), group = query.group;
  queries_.assign(group * 2 * half, 0);
  for (size_t g = 0; g < group; ++g) {
    const float* q = query.row(0, g, d);
    float* row = queries_.data() + g * 2 * half;
    for (size_t c = 0; c < d; ++c) row[c] = std::max(q[c], 0.0f);
    for (size_t c = 0; c < d; ++c) row[half + c] = std::min(q[c], 0.0f);
  }
  scores.resize(group * pages_);
  if (pages_ > 0) bounds_.multiply(queries_, group, scores);
}

void max_over_group(size_t group, std::vector<float>& scores) {
  const size_t n = scores.size() / group;
  for (size_t g = 1; g < group; ++g) {
    for (size_t i = 0; i < n; ++i) scores[i] = std::max(scores[i], scores[g * n + i]);
  }
  scores.resize(n);
}

}  // namespace fathom::kv
