#include "kv/prefill/selection.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/checked.h"
#include "kernel/kernels.h"

namespace fathom::kv {

const kernel::ScoreKernels& score_kernels() { return kernel::default_kernels().score; }

void head_scores(const HeadView& head, const kernel::ScoreArgs& s) {
  const kernel::Kernels& kernels = kernel::default_kernels();
  if (!head.rounds || !kernels.score.rounded_scores) return kernels.score.scores(s);
  thread_local std::vector<BFloat> rounded;  // grows to the largest call
  const size_t stride = round_up(s.inner, 32);
  rounded.resize(s.rows * stride);
  for (size_t r = 0; r < s.rows; ++r) {
    BFloat* row = rounded.data() + r * stride;
    kernels.elementwise.to_bfloat(s.a + r * s.a_stride, s.inner, row);
    std::fill(row + s.inner, row + stride, BFloat{});
  }
  kernels.score.rounded_scores({rounded.data(), stride, s.rows, s.b, s.b_stride, s.columns, s.inner,
                                s.scale, s.out, s.out_stride});
}

void mean_rows(const float* rows, size_t stride, size_t n, std::span<float> mean) {
  std::fill(mean.begin(), mean.end(), 0.0f);
  for (size_t r = 0; r < n; ++r) {
    const float* row = rows + r * stride;
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += row[i];
  }
  const float factor = 1.0f / static_cast<float>(n);
  for (float& m : mean) m *= factor;
}

std::vector<float> key_block_means(const HeadView& head, size_t block) {
  const size_t d = head.head_dim;
  std::vector<float> means(ceil_div(head.tokens, block) * d);
  for (size_t at = 0, b = 0; at < head.tokens; at += block, ++b) {
    mean_rows(head.key(at), d, std::min(block, head.tokens - at),
              std::span(means).subspan(b * d, d));
  }
  return means;
}

std::vector<float> query_block_means(const PrefillView& view, size_t group_head, size_t block) {
  const ChunkBlocks blocks(view, block);
  const size_t d = view.head.head_dim;
  std::vector<float> means(blocks.count() * d);
  for (size_t b = 0; b < blocks.count(); ++b) {
    mean_rows(query_at(view, group_head, blocks.begin(b)), view.queries.stride,
              blocks.end(b) - blocks.begin(b), std::span(means).subspan(b * d, d));
  }
  return means;
}

RowDraft::RowDraft(size_t tokens) : pages_(ceil_div(tokens, kPieceTokens)) {}

void RowDraft::clear() {
  std::fill(pages_.begin(), pages_.end(), uint8_t{0});
  tokens_.clear();
}

void RowDraft::add_range(size_t begin, size_t end) {
  const size_t last = std::min<size_t>(ceil_div(end, kPieceTokens), pages_.size());
  for (size_t page = begin / kPieceTokens; page < last; ++page) pages_[page] = 1;
}

void RowDraft::add_tokens(std::span<const int32_t> ascending) {
  tokens_.insert(tokens_.end(), ascending.begin(), ascending.end());
}

void RowDraft::write(size_t end, RowList& out) const {
  out.pieces.clear();
  out.columns.clear();
  size_t at = 0;
  for (size_t page = 0; page < pages_.size() && page * kPieceTokens < end; ++page) {
    const size_t begin = at, page_end = std::min(end, (page + 1) * kPieceTokens);
    while (at < tokens_.size() && static_cast<size_t>(tokens_[at]) < page_end) ++at;
    if (pages_[page] || at - begin == kPieceTokens) {
      out.pieces.push_back(static_cast<int32_t>(page * kPieceTokens));
    } else {
      out.columns.insert(out.columns.end(), tokens_.begin() + static_cast<ptrdiff_t>(begin),
                         tokens_.begin() + static_cast<ptrdiff_t>(at));
    }
  }
}

void list_dense(size_t end, RowList& out) {
  out.pieces.clear();
  for (size_t at = 0; at < end; at += kPieceTokens) out.pieces.push_back(static_cast<int32_t>(at));
}

void list_streaming(size_t begin, size_t end, const Streaming& streaming, RowList& out) {
  if (streaming.sinks + streaming.window >= end) return list_dense(end, out);
  out.pieces.clear();
  const size_t oldest = begin + 1 > streaming.window ? begin + 1 - streaming.window : 0;
  const size_t resume = std::max(oldest / kPieceTokens * kPieceTokens,
                                 ceil_div(streaming.sinks, kPieceTokens) * kPieceTokens);
  list_dense(std::min(streaming.sinks, end), out);
  for (size_t at = resume; at < end; at += kPieceTokens) {
    out.pieces.push_back(static_cast<int32_t>(at));
  }
  out.sinks = static_cast<int32_t>(streaming.sinks);
  out.window = static_cast<int32_t>(streaming.window);
}

}  // namespace fathom::kv
