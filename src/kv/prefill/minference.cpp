#include "kv/prefill/minference.h"

#include <algorithm>
#include <limits>

#include "base/checked.h"
#include "base/error.h"
#include "kv/attention_rows.h"
#include "kv/prefill/minference_table.h"
#include "kv/prefill/probe.h"
#include "kv/prefill/selection.h"

namespace fathom::kv {
namespace {

constexpr size_t kForcedColumns = 30, kForcedOffsets = 100, kLeastOffsets = 50;
constexpr size_t kBlock = kPieceTokens;

void force(std::span<float> scores, size_t n) {
  std::fill_n(scores.begin(), std::min(n, scores.size()), std::numeric_limits<float>::infinity());
}

// Walks the spans of the diagonals of one block of queries, from the farthest to the nearest.
class SpanWalk {
 public:
  SpanWalk(const VerticalSlash& chosen, size_t end, size_t limit, RowList& out)
      : chosen_(chosen), end_(end), limit_(limit), out_(out) {
    out.pieces.clear();
    out.columns.clear();
  }

  void run() {
    const std::vector<int32_t>& offsets = chosen_.offsets;
    size_t i = offsets.size();
    while (i > 0 && static_cast<size_t>(offsets[i - 1]) >= end_) --i;
    for (; i > 0; --i) {
      const size_t span_end = std::max(end_ - static_cast<size_t>(offsets[i - 1]), kBlock);
      if (open_end_ == 0 || span_end > open_end_ + kBlock) {
        close();
        open_begin_ = span_end - kBlock;
        open_end_ = span_end;
      } else if (span_end > open_end_) {
        open_end_ += kBlock;
      }
    }
    close();
  }

 private:
  // Columns before the open span are listed, those inside it are part of it.
  void close() {
    for (; column_ < chosen_.columns.size(); ++column_) {
      const size_t key = static_cast<size_t>(chosen_.columns[column_]);
      if (key >= open_end_ || key >= limit_) break;
      if (key < open_begin_) out_.columns.push_back(chosen_.columns[column_]);
    }
    for (size_t at = open_begin_; at < std::min(open_end_, limit_); at += kBlock) {
      out_.pieces.push_back(static_cast<int32_t>(at));
    }
  }

  const VerticalSlash& chosen_;
  const size_t end_, limit_;
  RowList& out_;
  size_t open_begin_ = 0, open_end_ = 0;
  size_t column_ = 0;
};

class MInference final : public PrefillPolicy {
 public:
  MInference(const MInferenceHead& fallback, MInferenceTable table)
      : fallback_(fallback), table_(std::move(table)) {}
  size_t query_block() const override { return kBlock; }

  void select(const PrefillView& view, std::span<RowList> lists) const override {
    const size_t blocks = ChunkBlocks(view, kBlock).count();
    for (size_t h = 0; h < view.queries.group; ++h) {
      const std::span<RowList> rows = lists.subspan(h * blocks, blocks);
      const MInferenceHead head =
          pattern(view.head.layer, view.head.kv_head * view.queries.group + h);
      switch (head.pattern) {
        case MInferencePattern::kVerticalSlash:
          vertical_slash_rows(view, h, head, rows);
          break;
        case MInferencePattern::kBlockSparse:
          block_sparse_rows(view, h, head, rows);
          break;
        case MInferencePattern::kStreaming:
          streaming_rows(view, head, rows);
          break;
      }
    }
  }

 private:
  MInferenceHead pattern(size_t layer, size_t head) const {
    if (table_.empty()) return fallback_;
    if (layer >= table_.size() || !table_[layer].contains(head)) {
      throw unsupported("minference", "the table has no entry for layer {}, head {}", layer, head);
    }
    return table_[layer].at(head);
  }

  static void vertical_slash_rows(const PrefillView& view, size_t h, const MInferenceHead& head,
                                  std::span<RowList> rows) {
    const ChunkBlocks blocks(view, kBlock);
    const VerticalSlash chosen = vertical_slash(view, h, head.first, head.second);
    for (size_t b = 0; b < rows.size(); ++b) {
      list_vertical_slash(chosen, (blocks.number(b) + 1) * kBlock, blocks.end(b), rows[b]);
    }
  }

  static void block_sparse_rows(const PrefillView& view, size_t h, const MInferenceHead& head,
                                std::span<RowList> rows) {
    const ChunkBlocks blocks(view, kBlock);
    const std::vector<float> products = pooled_products(view, h);
    const size_t key_blocks = ceil_div(view.head.tokens, kBlock);
    RowDraft draft(view.head.tokens);
    TopK ranking;
    for (size_t b = 0; b < rows.size(); ++b) {
      const size_t seen = tokens_behind(view.head, blocks.begin(b)) / kBlock;  // and those after it
      const std::span row(products.data() + b * key_blocks + seen, blocks.number(b) + 1 - seen);
      draft.clear();
      draft.add_block(0, kBlock);
      draft.add_block(blocks.number(b), kBlock);
      for (const int32_t k : ranking.top(row, head.first)) {
        draft.add_block(seen + static_cast<size_t>(k), kBlock);
      }
      draft.write(blocks.end(b), rows[b]);
    }
  }

  static void streaming_rows(const PrefillView& view, const MInferenceHead& head,
                             std::span<RowList> rows) {
    const ChunkBlocks blocks(view, kBlock);
    const Streaming streaming{std::max<size_t>(head.first, 1), std::max<size_t>(head.second, 1)};
    for (size_t b = 0; b < rows.size(); ++b) {
      list_streaming(blocks.begin(b), blocks.end(b), streaming, rows[b]);
    }
  }

  MInferenceHead fallback_;
  MInferenceTable table_;
};

constexpr ParameterInfo kParameters[] = {
    {"pattern", "vertical_slash", "vertical_slash|block_sparse", 0, 0,
     "of all heads, where there is no table"},
    {"vertical", "1000", "", 1, 1 << 24, "columns of vertical_slash, at least 30"},
    {"slash", "6096", "", 1, 1 << 24, "diagonals of vertical_slash, at least 50"},
    {"blocks", "100", "", 1, 1 << 24, "blocks of keys of block_sparse"},
    {"table", "none", kAnyText, 0, 0, "JSON file of the heads' patterns, or none"},
};

}  // namespace

VerticalSlash vertical_slash(const PrefillView& view, size_t group_head, size_t columns,
                             size_t offsets) {
  ProbeSums sums = probe_sums(view, group_head, kMInferenceProbes);
  force(sums.columns, kForcedColumns);
  force(sums.offsets, kForcedOffsets);
  TopK ranking;
  VerticalSlash out;
  out.columns = ranking.top(sums.columns, std::max(columns, kForcedColumns));
  out.offsets = ranking.top(sums.offsets, std::max(offsets, kLeastOffsets));
  return out;
}

void list_vertical_slash(const VerticalSlash& chosen, size_t end, size_t limit, RowList& out) {
  SpanWalk(chosen, end, limit, out).run();
}

std::vector<float> pooled_products(const PrefillView& view, size_t group_head) {
  const ChunkBlocks blocks(view, kBlock);
  const size_t d = view.head.head_dim, key_blocks = ceil_div(view.head.tokens, kBlock);
  const std::vector<float> q = query_block_means(view, group_head, kBlock);
  const std::vector<float> k = key_block_means(view.head, kBlock);
  std::vector<float> out(blocks.count() * key_blocks);
  for (size_t b = 0; b < blocks.count(); ++b) {
    score_kernels().scores({q.data() + b * d, d, 1, k.data(), d, blocks.number(b) + 1, d, 1.0f,
                            out.data() + b * key_blocks, key_blocks});
  }
  return out;
}

const MethodInfo& minference_info() {
  static const MethodInfo info{
      .name = "minference",
      .summary = "columns and diagonals that the last queries look at, or blocks with like means",
      .paper =
          "MInference 1.0: Accelerating Pre-filling for Long-Context LLMs via Dynamic Sparse "
          "Attention, 2024, arXiv:2407.02490",
      .needs = "at its best, a table of the model's heads (fathom calibrate)",
      .cost =
          "vertical_slash: 128 N head_dim operations a query head and (vertical + slash) N / 64 "
          "steps; block_sparse: N^2 head_dim / 4096",
      .parameters = kParameters,
      .exact = "vertical=16777216",
  };
  return info;
}

std::unique_ptr<const PrefillPolicy> make_minference(const Parameters& p) {
  MInferenceHead head;
  if (p.text("pattern") == "block_sparse") {
    head = {MInferencePattern::kBlockSparse, p.count("blocks"), 0};
  } else {
    head = {MInferencePattern::kVerticalSlash, p.count("vertical"), p.count("slash")};
  }
  const bool table = p.text("table") != "none";
  return std::make_unique<MInference>(
      head, table ? read_minference_table(p.text("table")) : MInferenceTable{});
}

std::unique_ptr<const PrefillPolicy> make_minference(const MInferenceHead& head) {
  return std::make_unique<MInference>(head, MInferenceTable{});
}

}  // namespace fathom::kv
