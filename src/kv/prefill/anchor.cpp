#include "kv/prefill/anchor.h"

#include <algorithm>
#include <limits>

#include "kv/attention_rows.h"
#include "kv/prefill/selection.h"

namespace fathom::kv {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();
constexpr size_t kTileRows = 32;       // queries whose scores are held at once
constexpr size_t kTileKeys = 1 << 12;  // candidates whose scores are held at once

struct AnchorArgs {
  size_t block, step;
  double theta;
};

// Decides for one query head, one super-block after the other.
class Anchors {
 public:
  Anchors(const PrefillView& view, size_t group_head, const AnchorArgs& args)
      : view_(view), head_(group_head), args_(args) {}

  // Keys in [block, begin of the super-block) that blocks [first, end) of the chunk read,
  // ascending: all of them belong to one super-block.
  const std::vector<int32_t>& keys(const ChunkBlocks& blocks, size_t first, size_t end) {
    const size_t super = blocks.number(first) / args_.step * args_.step * args_.block;
    const size_t d = view_.head.head_dim;
    means_.resize((end - first) * d);
    limits_.clear();
    keys_.clear();
    if (super <= args_.block) return keys_;
    for (size_t b = first; b < end; ++b) {
      const size_t n = blocks.end(b) - blocks.begin(b);
      mean_rows(query_at(view_, head_, blocks.begin(b)), view_.queries.stride, n,
                std::span(means_).subspan((b - first) * d, d));
      const double anchor =
          anchor_sum(super, blocks.begin(b), blocks.end(b)) / static_cast<double>(n);
      limits_.push_back(static_cast<float>(anchor - args_.theta));
    }
    size_t at = std::max(args_.block, tokens_behind(view_.head, blocks.begin(first)));
    for (; at < super; at += kTileKeys) compare(at, std::min(at + kTileKeys, super));
    return keys_;
  }

 private:
  // Sum over queries [begin, end) of the largest score with the first block and [super, query], as
  // far as the query sees them.
  double anchor_sum(size_t super, size_t begin, size_t end) {
    double sum = 0;
    const size_t near = end - super;
    first_scores_.resize(kTileRows * args_.block);
    near_scores_.resize(kTileRows * near);
    for (size_t at = begin; at < end; at += kTileRows) {
      const size_t rows = std::min(kTileRows, end - at);
      score(at, rows, 0, args_.block, first_scores_.data());
      score(at, rows, super, near, near_scores_.data());
      for (size_t r = 0; r < rows; ++r) {
        const size_t behind = tokens_behind(view_.head, at + r), end_near = at + r + 1 - super;
        const size_t old = std::min(behind, args_.block);
        const size_t old_near = behind - std::min(behind, super);
        sum += std::max(largest({first_scores_.data() + r * args_.block, args_.block}, old),
                        largest({near_scores_.data() + r * near, end_near}, old_near));
      }
    }
    return sum;
  }

  static float largest(std::span<const float> scores, size_t first) {
    return score_kernels().row_max(scores.data() + first, scores.size() - first);
  }

  // With the cap.
  void score(size_t query, size_t rows, size_t key, size_t n, float* out) const {
    const size_t d = view_.head.head_dim;
    head_scores(view_.head, {query_at(view_, head_, query), view_.queries.stride, rows,
                             view_.head.key(key), d, n, d, view_.head.scale, out, n});
    cap_scores(view_.head, {out, rows * n});
  }

  void compare(size_t begin, size_t end) {
    const size_t d = view_.head.head_dim, n = end - begin;
    near_scores_.resize(limits_.size() * n);
    head_scores(view_.head, {means_.data(), d, limits_.size(), view_.head.key(begin), d, n, d,
                             view_.head.scale, near_scores_.data(), n});
    cap_scores(view_.head, {near_scores_.data(), limits_.size() * n});
    best_.assign(n, kNone);
    for (size_t r = 0; r < limits_.size(); ++r) {
      const float* row = near_scores_.data() + r * n;
      const float limit = limits_[r];
      for (size_t i = 0; i < n; ++i) best_[i] = std::max(best_[i], row[i] - limit);
    }
    for (size_t i = 0; i < n; ++i) {
      if (best_[i] >= 0) keys_.push_back(static_cast<int32_t>(begin + i));
    }
  }

  const PrefillView& view_;
  const size_t head_;
  const AnchorArgs& args_;
  std::vector<float> means_, limits_, first_scores_, near_scores_, best_;
  std::vector<int32_t> keys_;
};

class Anchor final : public PrefillPolicy {
 public:
  explicit Anchor(const AnchorArgs& args) : args_(args) {}
  size_t query_block() const override { return args_.block; }

  void select(const PrefillView& view, std::span<RowList> lists) const override {
    const ChunkBlocks blocks(view, args_.block);
    RowDraft draft(view.head.tokens);
    for (size_t h = 0; h < view.queries.group; ++h) {
      Anchors anchors(view, h, args_);
      for (size_t b = 0, end = 0; b < blocks.count(); b = end) {
        const size_t super = blocks.number(b) / args_.step;
        end = std::min(blocks.count(), (super + 1) * args_.step - blocks.number(0));
        const std::vector<int32_t>& keys = anchors.keys(blocks, b, end);
        for (size_t i = b; i < end; ++i) {
          draft.clear();
          draft.add_block(0, args_.block);
          draft.add_range(super * args_.step * args_.block, blocks.end(i));
          draft.add_tokens(keys);
          draft.write(blocks.end(i), lists[h * blocks.count() + i]);
        }
      }
    }
  }

 private:
  AnchorArgs args_;
};

constexpr ParameterInfo kParameters[] = {
    {"theta", "12", "", -1e6, 1e6, "how far below the anchor a score may lie; 8 to 16 make sense"},
    {"step", "16", "", 1, 1024, "blocks of queries that share a list"},
    {"block", "128", "64|128|256", 0, 0, "tokens of a block of queries, and of the first keys"},
};

}  // namespace

const MethodInfo& anchor_info() {
  static const MethodInfo info{
      .name = "anchor",
      .summary = "keys whose score comes near the best among the first keys and a window",
      .paper =
          "AnchorAttention: Difference-Aware Sparse Attention with Stripe Granularity, 2025, "
          "arXiv:2505.23520",
      .needs = "unchecked: no result of the authors' code was at hand to compare with",
      .cost = "N (2 + step) block head_dim + N^2 head_dim / block operations a query head",
      .parameters = kParameters,
      .exact = "theta=1000000",
  };
  return info;
}

std::unique_ptr<const PrefillPolicy> make_anchor(const Parameters& p) {
  return std::make_unique<Anchor>(AnchorArgs{p.count("block"), p.count("step"), p.number("theta")});
}

}  // namespace fathom::kv
