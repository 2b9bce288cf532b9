#include "kv/store/frame.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "base/error.h"

namespace fathom::kv {
namespace {

// n, a power of two, floats times the Hadamard matrix of that size.
void transform(float* x, size_t n) {
  for (size_t half = 1; half < n; half *= 2) {
    for (size_t first = 0; first < n; first += 2 * half) {
      float* low = x + first;
      float* high = low + half;
      for (size_t i = 0; i < half; ++i) {
        const float a = low[i], b = high[i];
        low[i] = a + b;
        high[i] = a - b;
      }
    }
  }
}

class HadamardFrame final : public Frame {
 public:
  void enter(HeadId, float* row, size_t head_dim) const override {
    const size_t n = head_dim & ~(head_dim - 1);  // the lowest bit
    const float factor = 1.0f / std::sqrt(static_cast<float>(n));
    for (size_t first = 0; first < head_dim; first += n) transform(row + first, n);
    for (size_t c = 0; c < head_dim; ++c) row[c] *= factor;
  }
  void leave(HeadId head, float* row, size_t head_dim) const override {
    enter(head, row, head_dim);
  }
};

class SortedFrame final : public Frame {
 public:
  explicit SortedFrame(const KeyNorms& norms)
      : kv_heads_(norms.kv_heads), head_dim_(norms.head_dim), order_(norms.norms.size()) {
    for (size_t first = 0; first < order_.size(); first += head_dim_) {
      uint16_t* order = order_.data() + first;
      const float* norm = norms.norms.data() + first;
      std::iota(order, order + head_dim_, uint16_t{0});
      std::stable_sort(order, order + head_dim_,
                       [norm](uint16_t a, uint16_t b) { return norm[a] < norm[b]; });
    }
  }
  void enter(HeadId head, float* row, size_t head_dim) const override {
    const uint16_t* order = of(head, head_dim);
    thread_local std::vector<float> old;
    old.assign(row, row + head_dim);
    for (size_t c = 0; c < head_dim; ++c) row[c] = old[order[c]];
  }
  void leave(HeadId head, float* row, size_t head_dim) const override {
    const uint16_t* order = of(head, head_dim);
    thread_local std::vector<float> old;
    old.assign(row, row + head_dim);
    for (size_t c = 0; c < head_dim; ++c) row[order[c]] = old[c];
  }

 private:
  const uint16_t* of(HeadId head, size_t head_dim) const {
    FATHOM_DCHECK(head_dim == head_dim_);
    return order_.data() + (head.layer * kv_heads_ + head.kv_head) * head_dim;
  }
  size_t kv_heads_, head_dim_;
  std::vector<uint16_t> order_;  // [layers][kv_heads][head_dim]: stored channel c is order[c]
};

}  // namespace

std::shared_ptr<const Frame> hadamard_frame() { return std::make_shared<HadamardFrame>(); }

std::shared_ptr<const Frame> sorted_frame(const KeyNorms& norms) {
  return std::make_shared<SortedFrame>(norms);
}

}  // namespace fathom::kv
