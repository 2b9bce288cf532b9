#include "kv/prefill/hip.h"

#include <algorithm>
#include <limits>

#include "base/checked.h"
#include "kv/attention_rows.h"
#include "kv/prefill/selection.h"

namespace fathom::kv {
namespace {

struct HipArgs {
  size_t k, key_block, stride, window, sinks, dense_layers;
};

// Blocks of keys [begin, end).
struct Interval {
  size_t begin, end;
  size_t size() const { return end - begin; }
};

class TreeSearch {
 public:
  TreeSearch(const PrefillView& view, size_t group_head, const HipArgs& args)
      : view_(view), head_(group_head), args_(args) {}

  // The best k / key_block blocks of `past` for queries [begin, end), as numbers of blocks,
  // ascending.
  const std::vector<int32_t>& search(Interval past, size_t begin, size_t end) {
    const size_t keep = args_.k / args_.key_block, parts = std::min(keep, past.size());
    intervals_.clear();
    for (size_t i = 0; i < parts; ++i) {
      intervals_.push_back(
          {past.begin + i * past.size() / parts, past.begin + (i + 1) * past.size() / parts});
    }
    while (split()) {
      score(begin, end);
      prune(keep);
    }
    found_.clear();
    for (const Interval& i : intervals_) found_.push_back(static_cast<int32_t>(i.begin));
    return found_;
  }

 private:
  // Halves every interval of more than one block; false where there is none.
  bool split() {
    halves_.clear();
    bool any = false;
    for (const Interval& i : intervals_) {
      const size_t middle = i.begin + ceil_div(i.size(), 2);
      halves_.push_back({i.begin, middle});
      if (middle == i.end) continue;
      halves_.push_back({middle, i.end});
      any = true;
    }
    return any;
  }

  // The first block of each half with every stride-th query.
  void score(size_t begin, size_t end) {
    const size_t d = view_.head.head_dim, n = halves_.size() * args_.key_block;
    const size_t rows = ceil_div(end - begin, args_.stride);
    keys_.resize(n * d);
    products_.resize(rows * n);
    for (size_t i = 0; i < halves_.size(); ++i) {
      std::copy_n(view_.head.key(halves_[i].begin * args_.key_block), args_.key_block * d,
                  keys_.data() + i * args_.key_block * d);
    }
    score_kernels().scores({query_at(view_, head_, begin), args_.stride * view_.queries.stride,
                            rows, keys_.data(), d, n, d, 1.0f, products_.data(), n});
    best_.assign(n, -std::numeric_limits<float>::infinity());
    for (size_t r = 0; r < rows; ++r) {
      const float* row = products_.data() + r * n;
      for (size_t i = 0; i < n; ++i) best_[i] = std::max(best_[i], row[i]);
    }
    scores_.resize(halves_.size());
    for (size_t i = 0; i < halves_.size(); ++i) {
      scores_[i] = score_kernels().row_max(best_.data() + i * args_.key_block, args_.key_block);
    }
  }

  void prune(size_t keep) {
    intervals_.clear();
    for (const int32_t i : ranking_.top(scores_, keep)) intervals_.push_back(halves_[i]);
  }

  const PrefillView& view_;
  const size_t head_;
  const HipArgs& args_;
  std::vector<Interval> intervals_, halves_;
  std::vector<float> keys_, products_, best_, scores_;
  std::vector<int32_t> found_;
  TopK ranking_;
};

class Hip final : public PrefillPolicy {
 public:
  explicit Hip(const HipArgs& args) : args_(args) {}
  size_t query_block() const override { return kPieceTokens; }

  void select(const PrefillView& view, std::span<RowList> lists) const override {
    const ChunkBlocks blocks(view, query_block());
    RowDraft draft(view.head.tokens);
    std::vector<int32_t> tokens;
    for (size_t h = 0; h < view.queries.group; ++h) {
      TreeSearch tree(view, h, args_);
      for (size_t b = 0; b < blocks.count(); ++b) {
        RowList& out = lists[h * blocks.count() + b];
        if (blocks.end(b) <= args_.k || view.head.layer < args_.dense_layers) {
          list_dense(blocks.end(b), out);
          continue;
        }
        const size_t oldest = blocks.begin(b) + 1 - std::min(blocks.begin(b) + 1, args_.window);
        const size_t past = oldest / kPieceTokens * kPieceTokens;  // the window's pages begin here
        const size_t seen = std::min(past, tokens_behind(view.head, blocks.begin(b)));
        expand(tree.search({seen / args_.key_block, past / args_.key_block}, blocks.begin(b),
                           blocks.end(b)),
               tokens);
        draft.clear();
        draft.add_range(0, args_.sinks);
        draft.add_range(past, blocks.end(b));
        draft.add_tokens(tokens);
        draft.write(blocks.end(b), out);
      }
    }
  }

 private:
  void expand(const std::vector<int32_t>& found, std::vector<int32_t>& tokens) const {
    tokens.clear();
    for (const int32_t block : found) {
      for (size_t i = 0; i < args_.key_block; ++i) {
        tokens.push_back(static_cast<int32_t>(static_cast<size_t>(block) * args_.key_block + i));
      }
    }
  }

  HipArgs args_;
};

constexpr ParameterInfo kParameters[] = {
    {"k", "512", "", 64, 1 << 24, "keys that a block of queries finds; up to that, all"},
    {"key_block", "2", "2|4|8|16|32|64", 0, 0, "neighbouring keys that are found together"},
    {"stride", "4", "", 1, 64, "every stride-th query searches; the paper: 2"},
    {"window", "256", "", 1, 1 << 24, "last keys that every query reads at least"},
    {"sinks", "16", "", 1, 1 << 24, "first keys that every query reads at least"},
    {"dense_layers", "3", "", 0, 10000, "first layers in which every query reads everything"},
};

}  // namespace

const MethodInfo& hip_info() {
  static const MethodInfo info{
      .name = "hip",
      .summary = "a tree search for the best keys of each block of queries",
      .paper =
          "A Training-free Sub-quadratic Cost Transformer Model Serving Framework with "
          "Hierarchically Pruned Attention, 2024, arXiv:2406.09827",
      .needs = "unchecked: no result of the authors' code was at hand to compare with",
      .cost = "4 k N head_dim / stride operations a query head and level, log2(N / k) levels",
      .parameters = kParameters,
      .exact = "k=16777216",
  };
  return info;
}

std::unique_ptr<const PrefillPolicy> make_hip(const Parameters& p) {
  return std::make_unique<Hip>(HipArgs{p.count("k"), p.count("key_block"), p.count("stride"),
                                       p.count("window"), p.count("sinks"),
                                       p.count("dense_layers")});
}

}  // namespace fathom::kv
