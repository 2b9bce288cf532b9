#include "kv/fetch/block_memory.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernel/kernels.h"
#include "kv/fetch/runs.h"
#include "kv/rope.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

// rows x keys [first, end) of `k`, at column `at` of out.
struct Product {
  const float* q;
  size_t stride, rows, head_dim;
  float scale;
};
void products(const Product& p, const float* k, Run keys, float* out, size_t out_stride) {
  const auto first = static_cast<size_t>(keys.first), end = static_cast<size_t>(keys.end);
  if (first == end) return;
  kernel::default_kernels().score.scores({.a = p.q,
                                          .a_stride = p.stride,
                                          .rows = p.rows,
                                          .b = k + first * p.head_dim,
                                          .b_stride = p.head_dim,
                                          .columns = end - first,
                                          .inner = p.head_dim,
                                          .scale = p.scale,
                                          .out = out,
                                          .out_stride = out_stride});
}

}  // namespace

Run BlockMemory::block(size_t b) const {
  const size_t first = b == 0 ? options_.init : ends_[b - 1];
  return {static_cast<int32_t>(first), static_cast<int32_t>(ends_[b])};
}

void BlockMemory::update(const HeadView& head) {
  if (head.tokens >= observed_) return;
  observed_ = head.tokens;
  init_ = std::min(init_, head.tokens);
  for (std::vector<float>& s : local_scores_) s.resize(observed_);
  while (!ends_.empty() && ends_.back() > head.tokens) {
    representatives_.resize(representatives_.size() / ends_.size() * (ends_.size() - 1));
    ends_.pop_back();
  }
}

void BlockMemory::rank(const HeadView& head, const QueryView& queries, std::vector<float>& scores) {
  FATHOM_CHECK(head.rope != nullptr && queries.q_unrotated != nullptr);
  const size_t d = head.head_dim;
  scores.resize(std::max(scores.size(), blocks()));
  const Rotation far(*head.rope, static_cast<double>(options_.local - 1));
  const float share = 1.0f / static_cast<float>(std::max<size_t>(queries.tokens, 1));
  std::vector<float> mean(d);
  for (size_t g = 0; g < queries.group; ++g) {
    std::fill(mean.begin(), mean.end(), 0.0f);
    for (size_t t = 0; t < queries.tokens; ++t) {
      add_scaled(share, queries.row_unrotated(t, g, d), d, mean.data());
    }
    far.apply(mean.data(), d, mean.data());
    for (size_t b = 0; b < blocks(); ++b) {
      scores[b] += dot(mean.data(), representatives_.data() + (b * queries.group + g) * d, d);
    }
  }
}

void BlockMemory::reads(const QueryView& queries, std::span<const int32_t> chosen,
                        FetchReads& out) const {
  const size_t end = queries.first + queries.tokens;
  const size_t window = queries.first + 1 - std::min(queries.first + 1, options_.local);
  add_run(window, end, out.k);
  add_run(0, init_, out.k_unrotated);
  for (const int32_t b : chosen) {
    const Run r = block(static_cast<size_t>(b));
    add_run(static_cast<size_t>(r.first), static_cast<size_t>(r.end), out.k_unrotated);
  }
  add_run(remainder(), end - std::min(end, options_.local), out.k_unrotated);
}

void BlockMemory::observe(const HeadView& head, const QueryView& queries,
                          std::span<const int32_t> chosen) {
  Runs distant;
  add_run(0, init_, distant);
  for (const int32_t b : chosen) distant.push_back(block(static_cast<size_t>(b)));
  observed_ = queries.first + queries.tokens;
  local_scores_.resize(queries.group);
  for (std::vector<float>& s : local_scores_) s.resize(observed_);
  add_local_scores(head, queries, distant);
  seal(head, queries.group);
}

// A row's columns: distant keys, the remainder, the window. A key that leaves the window within the
// block of queries is in the remainder for all of them: the first ones see it twice, as in the
// authors' code.
void BlockMemory::add_local_scores(const HeadView& head, const QueryView& queries,
                                   const Runs& distant) {
  const size_t d = head.head_dim, rows = queries.tokens;
  const size_t window = queries.first + 1 - std::min(queries.first + 1, options_.local);
  const size_t past = observed_ - std::min(observed_, options_.local);  // left some row's window
  const Run local{static_cast<int32_t>(window), static_cast<int32_t>(observed_)};
  const Run rest{static_cast<int32_t>(remainder()),
                 static_cast<int32_t>(std::max(past, remainder()))};
  const size_t far_keys = keys_read(distant), rest_keys = keys_read({rest});
  const size_t columns = far_keys + rest_keys + keys_read({local});
  std::vector<float> weights(rows * columns), far_queries(rows * d);
  const Rotation far(*head.rope, static_cast<double>(options_.local - 1));
  for (size_t g = 0; g < queries.group; ++g) {
    for (size_t r = 0; r < rows; ++r) {
      far.apply(queries.row_unrotated(r, g, d), d, far_queries.data() + r * d);
    }
    const Product at_far{far_queries.data(), d, rows, d, head.scale};
    float* out = weights.data();
    for (const Run& run : distant) {
      products(at_far, head.k_unrotated, run, out, columns);
      out += run.end - run.first;
    }
    products(at_far, head.k_unrotated, rest, out, columns);
    products({queries.row(0, g, d), queries.stride, rows, d, head.scale}, head.k, local,
             out + rest_keys, columns);
    for (size_t r = 0; r < rows; ++r) {
      float* row = weights.data() + r * columns;
      const size_t position = queries.first + r;
      const size_t begin = position + 1 - std::min(position + 1, options_.local);
      float* near = row + far_keys + rest_keys;
      for (size_t t = window; t < observed_; ++t) {
        if (t < begin || t > position) near[t - window] = -INFINITY;
      }
      softmax({row, columns});
      add_scaled(1.0f, near, observed_ - window, local_scores_[g].data() + window);
    }
  }
}

void BlockMemory::seal(const HeadView& head, size_t group) {
  const size_t limit = observed_ - std::min(observed_, options_.local);
  init_ = std::max(init_, std::min(options_.init, limit));
  if (init_ < options_.init) return;
  for (size_t end = cut_(remainder(), limit); end != 0; end = cut_(remainder(), limit)) {
    add_representative(head, group, {static_cast<int32_t>(remainder()), static_cast<int32_t>(end)});
    ends_.push_back(end);
  }
}

void BlockMemory::add_representative(const HeadView& head, size_t group, Run block) {
  const size_t d = head.head_dim;
  const auto first = static_cast<size_t>(block.first), end = static_cast<size_t>(block.end);
  for (size_t g = 0; g < group; ++g) {
    std::vector<int32_t> top;
    best_.append(std::span(local_scores_[g]).subspan(first, end - first), options_.representatives,
                 block.first, top);
    const size_t at = representatives_.size();
    representatives_.resize(at + d);
    for (const int32_t t : top) {
      add_scaled(1.0f / static_cast<float>(top.size()),
                 head.k_unrotated + static_cast<size_t>(t) * d, d, representatives_.data() + at);
    }
  }
}

void BlockMemory::read(size_t tokens, std::span<const int32_t> chosen, Runs& runs) const {
  runs.clear();
  add_run(0, std::min(init_, tokens), runs);
  for (const int32_t b : chosen) {
    const Run r = block(static_cast<size_t>(b));
    add_run(static_cast<size_t>(r.first), static_cast<size_t>(r.end), runs);
  }
  add_run(std::min(remainder(), tokens), tokens, runs);
}

size_t BlockMemory::bytes() const {
  size_t floats = representatives_.capacity();
  for (const std::vector<float>& s : local_scores_) floats += s.capacity();
  return floats * sizeof(float) + ends_.capacity() * sizeof(size_t);
}

}  // namespace fathom::kv
