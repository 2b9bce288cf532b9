#include "kv/prefill/flexprefill.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/checked.h"
#include "kv/attention_rows.h"
#include "kv/prefill/probe.h"
#include "kv/prefill/selection.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

constexpr size_t kBudgetTokens = 128;  // the repository's, whatever the block

// Of the largest scores, how many have a running sum of at most `share`, and one more.
size_t cover_count(std::span<const float> scores, double share, TopK& ranking) {
  double sum = 0;
  size_t count = 0;
  for (const int32_t i : ranking.ranked(scores)) {
    sum += scores[static_cast<size_t>(i)];
    if (!(sum <= share)) break;
    ++count;
  }
  return count + 1;
}

std::vector<float> block_sums(std::span<const float> scores, size_t block) {
  std::vector<float> out(ceil_div(scores.size(), block));
  for (size_t i = 0; i < scores.size(); ++i) out[i / block] += scores[i];
  return out;
}

// Square root of the Jensen-Shannon divergence, natural logarithm.
double js_distance(std::span<const float> a, std::span<const float> b) {
  const auto term = [](double p, double m) { return p > 0 ? p * std::log(p / m) : 0.0; };
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double m = 0.5 * (double{a[i]} + double{b[i]});
    sum += 0.5 * (term(a[i], m) + term(b[i], m));
  }
  return std::sqrt(std::max(sum, 0.0));
}

class Chooser {
 public:
  Chooser(const PrefillView& view, size_t group_head, const FlexPrefillArgs& args)
      : view_(view),
        head_(group_head),
        args_(args),
        blocks_(view, args.block),
        key_blocks_(ceil_div(view.head.tokens, args.block)) {}

  FlexPrefillChoice choose() {
    choice_.mask.assign(blocks_.count() * key_blocks_, 0);
    key_means_ = key_block_means(view_.head, args_.block);
    ProbeSums sums = probe_sums(view_, head_, args_.block);
    for (float& s : sums.columns) s /= static_cast<float>(sums.probes);
    for (float& s : sums.offsets) s /= static_cast<float>(sums.probes);
    std::vector<float> columns = block_sums(sums.columns, args_.block);
    std::vector<float> diagonals = block_sums(sums.offsets, args_.block);
    choice_.divergence = js_distance(pooled_probe(sums.probes), columns);
    const bool by_means = choice_.divergence < args_.tau;
    choice_.columns = budget(sums.columns, by_means);
    choice_.diagonals = budget(sums.offsets, by_means);
    columns[0] = diagonals[0] = std::numeric_limits<float>::infinity();
    mark_columns(columns);
    mark_diagonals(diagonals);
    if (by_means) mark_by_means();
    return std::move(choice_);
  }

 private:
  // The attention of the mean of the probes to the means of all blocks.
  std::vector<float> pooled_probe(size_t probes) const {
    const size_t first = view_.head.tokens - probes;
    std::vector<float> q(view_.head.head_dim), out(key_blocks_);
    mean_rows(query_at(view_, head_, first), view_.queries.stride, probes, q);
    attend_means(q.data(), first, out);
    return out;
  }

  // The attention of a mean of queries from index `first` on to the means of the first out.size()
  // blocks: to those that the first of them sees a key of.
  void attend_means(const float* q, size_t first, std::span<float> out) const {
    const size_t d = view_.head.head_dim;
    const size_t behind = tokens_behind(view_.head, first) / args_.block;
    const std::span<float> seen = out.subspan(behind);
    std::fill_n(out.begin(), behind, 0.0f);
    score_kernels().scores({q, d, 1, key_means_.data() + behind * d, d, seen.size(), d,
                            view_.head.scale, seen.data(), seen.size()});
    cap_scores(view_.head, seen);
    softmax(seen);
  }

  size_t budget(std::span<const float> scores, bool by_means) {
    const size_t least = args_.min_budget / args_.block;
    const size_t wanted =
        by_means ? 0 : cover_count(scores, args_.gamma, ranking_) / kBudgetTokens + 1;
    return std::min(std::max({wanted, least, size_t{1}}), key_blocks_);
  }

  void mark(size_t b, size_t key_block) { choice_.mask[b * key_blocks_ + key_block] = 1; }

  void mark_columns(std::span<const float> scores) {
    for (const int32_t k : ranking_.top(scores, choice_.columns)) {
      const size_t column = static_cast<size_t>(k);
      for (size_t b = 0; b < blocks_.count(); ++b) {
        if (column <= blocks_.number(b)) mark(b, column);
      }
    }
  }

  void mark_diagonals(std::span<const float> scores) {
    for (const int32_t o : ranking_.top(scores, choice_.diagonals)) {
      const size_t offset = static_cast<size_t>(o);
      for (size_t b = 0; b < blocks_.count(); ++b) {
        if (offset <= blocks_.number(b)) mark(b, blocks_.number(b) - offset);
      }
    }
  }

  // The largest of all rows' attentions between means, until gamma of their sum is covered.
  void mark_by_means() {
    const size_t d = view_.head.head_dim, rows = blocks_.count();
    const std::vector<float> q = query_block_means(view_, head_, args_.block);
    std::vector<float> map(rows * key_blocks_);
    for (size_t b = 0; b < rows; ++b) {
      attend_means(q.data() + b * d, blocks_.begin(b),
                   std::span(map).subspan(b * key_blocks_, blocks_.number(b) + 1));
    }
    double sum = 0;
    for (const int32_t i : ranking_.ranked(map)) {
      sum += map[i];
      if (!(sum <= args_.gamma * static_cast<double>(rows)) || map[i] <= 0) break;
      choice_.mask[i] = 1;
    }
  }

  const PrefillView& view_;
  const size_t head_;
  const FlexPrefillArgs& args_;
  const ChunkBlocks blocks_;
  const size_t key_blocks_;
  std::vector<float> key_means_;
  TopK ranking_;
  FlexPrefillChoice choice_;
};

class FlexPrefill final : public PrefillPolicy {
 public:
  explicit FlexPrefill(const FlexPrefillArgs& args) : args_(args) {}
  size_t query_block() const override { return args_.block; }

  void select(const PrefillView& view, std::span<RowList> lists) const override {
    const ChunkBlocks blocks(view, args_.block);
    const size_t rows = blocks.count(), key_blocks = ceil_div(view.head.tokens, args_.block);
    if (view.head.tokens <= std::max(2 * args_.block, args_.min_budget)) {
      for (size_t i = 0; i < lists.size(); ++i) list_dense(blocks.end(i % rows), lists[i]);
      return;
    }
    RowDraft draft(view.head.tokens);
    for (size_t h = 0; h < view.queries.group; ++h) {
      const FlexPrefillChoice choice = flexprefill_choice(view, h, args_);
      for (size_t b = 0; b < rows; ++b) {
        draft.clear();
        for (size_t k = 0; k < key_blocks; ++k) {
          if (choice.mask[b * key_blocks + k]) draft.add_block(k, args_.block);
        }
        draft.write(blocks.end(b), lists[h * rows + b]);
      }
    }
  }

 private:
  FlexPrefillArgs args_;
};

constexpr ParameterInfo kParameters[] = {
    {"gamma", "0.9", "", 0, 1, "share of the attention to cover; 0.85 to 0.97 make sense"},
    {"tau", "0.1", "", 0, 1, "divergence below which means of blocks are trusted; 0: never"},
    {"min_budget", "512", "", 0, 1 << 24, "tokens that columns and diagonals get at least"},
    {"block", "128", "64|128|256", 0, 0, "tokens of a block of queries and of keys"},
};

}  // namespace

FlexPrefillChoice flexprefill_choice(const PrefillView& view, size_t group_head,
                                     const FlexPrefillArgs& args) {
  return Chooser(view, group_head, args).choose();
}

const MethodInfo& flexprefill_info() {
  static const MethodInfo info{
      .name = "flexprefill",
      .summary = "columns and diagonals, or blocks with like means, to cover a share of attention",
      .paper =
          "FlexPrefill: A Context-Aware Sparse Attention Mechanism for Efficient "
          "Long-Sequence Inference, 2025, arXiv:2502.20766",
      .cost =
          "2 block N head_dim operations a query head and sorts of N numbers; with means of "
          "blocks N^2 head_dim / block^2 more",
      .parameters = kParameters,
      .exact = "min_budget=16777216",
  };
  return info;
}

std::unique_ptr<const PrefillPolicy> make_flexprefill(const Parameters& p) {
  return std::make_unique<FlexPrefill>(
      FlexPrefillArgs{p.count("block"), p.number("gamma"), p.number("tau"), p.count("min_budget")});
}

}  // namespace fathom::kv
