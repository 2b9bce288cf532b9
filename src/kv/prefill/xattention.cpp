#include "kv/prefill/xattention.h"

#include <algorithm>

#include "base/checked.h"
#include "kv/attention_rows.h"
#include "kv/prefill/selection.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

// Groups of queries whose scores are held at once: enough that the keys are read seldom, few
// enough that the packed queries (S * head_dim floats each) stay in the second-level cache.
constexpr size_t kTileGroups = 128;

class Estimate {
 public:
  Estimate(const PrefillView& view, size_t group_head, const XAttentionArgs& args)
      : view_(view),
        head_(group_head),
        block_(args.block),
        stride_(args.stride),
        inner_(args.stride * view.head.head_dim),
        key_groups_(ceil_div(view.head.tokens, args.stride)),
        key_blocks_(ceil_div(view.head.tokens, args.block)),
        tail_(inner_) {
    packed_.resize(std::max(packed_.size(), kTileGroups * inner_));
    scores_.resize(std::max(scores_.size(), kTileGroups * key_groups_));
    const size_t whole = view.head.tokens / stride_ * stride_;
    std::copy(view.head.key(whole), view.head.key(view.head.tokens), tail_.begin());
  }

  std::vector<float> sums() {
    const ChunkBlocks blocks(view_, block_);
    std::vector<float> out(blocks.count() * key_blocks_);
    const size_t first = view_.first() / stride_;
    for (size_t group = first; group < key_groups_; group += kTileGroups) {
      const size_t end = std::min(group + kTileGroups, key_groups_);
      score(group, end);
      for (size_t g = group; g < end; ++g) {
        const size_t row = g * stride_ / block_ - blocks.number(0);
        add(g, scores_.data() + (g - group) * key_groups_, out.data() + row * key_blocks_);
      }
    }
    return out;
  }

 private:
  // The group's queries, last one first; 0 where the chunk has none.
  void pack(size_t group, float* out) const {
    const size_t d = view_.head.head_dim;
    for (size_t i = 0; i < stride_; ++i) {
      const size_t index = group * stride_ + stride_ - 1 - i;
      const bool there = index >= view_.first() && index < view_.head.tokens;
      if (there) {
        std::copy_n(query_at(view_, head_, index), d, out + i * d);
      } else {
        std::fill_n(out + i * d, d, 0.0f);
      }
    }
  }

  // Scores of groups [begin, end) of queries with groups [0, end) of keys.
  void score(size_t begin, size_t end) {
    for (size_t g = begin; g < end; ++g) pack(g, packed_.data() + (g - begin) * inner_);
    const size_t whole = std::min(end, view_.head.tokens / stride_);
    const float scale = view_.head.scale / static_cast<float>(stride_);
    kernel::ScoreArgs s{packed_.data(), inner_, end - begin, view_.head.k,   inner_,
                        whole,          inner_, scale,       scores_.data(), key_groups_};
    head_scores(view_.head, s);
    if (whole == end) return;
    s.b = tail_.data();
    s.columns = 1;
    s.out += whole;
    head_scores(view_.head, s);
  }

  // Adds a group's softmax over the groups up to itself that it sees a key of, block by block.
  void add(size_t group, float* scores, float* out) const {
    const size_t behind = tokens_behind(view_.head, group * stride_) / stride_;
    const std::span<float> seen(scores + behind, group + 1 - behind);
    cap_scores(view_.head, seen);
    softmax(seen);
    const size_t width = block_ / stride_;
    for (size_t at = behind, b = behind / width; at <= group; ++b) {
      const size_t end = std::min((b + 1) * width, group + 1);
      for (; at < end; ++at) out[b] += scores[at];
    }
  }

  const PrefillView& view_;
  const size_t head_, block_, stride_, inner_, key_groups_, key_blocks_;
  std::vector<float> tail_;  // the last keys where they fill no group, then 0
  // Kept by the thread: blocks so large are cleared by the system anew.
  static thread_local std::vector<float> packed_;  // [kTileGroups][stride * head_dim]
  static thread_local std::vector<float> scores_;  // [kTileGroups][key groups]
};
thread_local std::vector<float> Estimate::packed_;
thread_local std::vector<float> Estimate::scores_;

class XAttention final : public PrefillPolicy {
 public:
  explicit XAttention(const XAttentionArgs& args) : args_(args) {}
  size_t query_block() const override { return args_.block; }

  void select(const PrefillView& view, std::span<RowList> lists) const override {
    const ChunkBlocks blocks(view, args_.block);
    const size_t key_blocks = ceil_div(view.head.tokens, args_.block);
    RowDraft draft(view.head.tokens);
    TopK ranking;
    for (size_t h = 0; h < view.queries.group; ++h) {
      const std::vector<float> sums = xattention_sums(view, h, args_);
      for (size_t b = 0; b < blocks.count(); ++b) {
        const std::span row(sums.data() + b * key_blocks, blocks.number(b) + 1);
        cover(row, draft, ranking);
        draft.write(blocks.end(b), lists[h * blocks.count() + b]);
      }
    }
  }

 private:
  // Block 0 and the diagonal, then the largest others until `threshold` of the row is covered.
  void cover(std::span<const float> row, RowDraft& draft, TopK& ranking) const {
    draft.clear();
    const int32_t diagonal = static_cast<int32_t>(row.size()) - 1;
    double total = 0;
    for (const float s : row) total += s;
    double covered = row[0] + (diagonal > 0 ? row.back() : 0.0f);
    draft.add_block(0, args_.block);
    draft.add_block(row.size() - 1, args_.block);
    for (const int32_t b : ranking.ranked(row)) {
      if (args_.threshold < 1 && covered >= args_.threshold * total) break;
      if (b == 0 || b == diagonal) continue;
      draft.add_block(static_cast<size_t>(b), args_.block);
      covered += row[b];
    }
  }

  XAttentionArgs args_;
};

constexpr ParameterInfo kParameters[] = {
    {"threshold", "0.9", "", 0, 1, "share of a block's estimated attention that is read"},
    {"stride", "16", "4|8|16|32|64", 0, 0, "tokens of a group: more is faster and coarser"},
    {"block", "128", "64|128|256", 0, 0, "tokens of a block of queries and of keys"},
};

}  // namespace

std::vector<float> xattention_sums(const PrefillView& view, size_t group_head,
                                   const XAttentionArgs& args) {
  return Estimate(view, group_head, args).sums();
}

const MethodInfo& xattention_info() {
  static const MethodInfo info{
      .name = "xattention",
      .summary = "blocks that hold a share of the attention, estimated along antidiagonals",
      .paper =
          "XAttention: Block Sparse Attention with Antidiagonal Scoring, 2025, "
          "arXiv:2503.16428",
      .cost = "N^2 head_dim / stride operations a query head: 1/stride of all scores",
      .parameters = kParameters,
      .exact = "threshold=1",
  };
  return info;
}

std::unique_ptr<const PrefillPolicy> make_xattention(const Parameters& p) {
  return std::make_unique<XAttention>(
      XAttentionArgs{p.count("block"), p.count("stride"), p.number("threshold")});
}

}  // namespace fathom::kv
