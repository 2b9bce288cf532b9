#include "kv/prefill/lserve.h"

#include "base/error.h"
#include "kv/head_table.h"
#include "kv/prefill/selection.h"

namespace fathom::kv {
namespace {

class LServe final : public PrefillPolicy {
 public:
  LServe(const Streaming& streaming, const HeadTable& table, double share)
      : streaming_(streaming), layers_(table.layers()), kv_heads_(table.kv_heads) {
    if (layers_ > 0) full_ = full_heads(table, share);
  }
  size_t query_block() const override { return kPieceTokens; }

  void select(const PrefillView& view, std::span<RowList> lists) const override {
    const ChunkBlocks blocks(view, query_block());
    const bool full = is_full(view.head.layer, view.head.kv_head);
    for (size_t i = 0; i < lists.size(); ++i) {
      const size_t b = i % blocks.count();
      if (full) {
        list_dense(blocks.end(b), lists[i]);
      } else {
        list_streaming(blocks.begin(b), blocks.end(b), streaming_, lists[i]);
      }
    }
  }

 private:
  bool is_full(size_t layer, size_t kv_head) const {
    if (full_.empty()) return false;
    if (layer >= layers_ || kv_head >= kv_heads_) {
      throw unsupported("lserve", "the table has {} layers of {} kv heads, and none for {}, {}",
                        layers_, kv_heads_, layer, kv_head);
    }
    return full_[layer * kv_heads_ + kv_head];
  }

  Streaming streaming_;
  size_t layers_, kv_heads_;
  std::vector<uint8_t> full_;  // [layers][kv_heads]; empty: none
};

constexpr ParameterInfo kParameters[] = {
    {"table", "none", kAnyText, 0, 0,
     "file with a line a layer, a number a kv head; none: all stream"},
    {"share", "0.5", "", 0, 1, "of the table's heads that stream"},
    {"sinks", "128", "", 1, 1 << 24, "first keys that streaming heads read"},
    {"window", "8192", "", 1, 1 << 24, "last keys that their queries read, itself included"},
};

}  // namespace

const MethodInfo& lserve_info() {
  static const MethodInfo info{
      .name = "lserve",
      .summary = "heads that need no context read the first keys and a window, the others all",
      .paper =
          "LServe: Efficient Long-sequence LLM Serving with Unified Sparse Attention, 2025, "
          "arXiv:2502.14866; heads: DuoAttention, 2024, arXiv:2410.10819",
      .needs = "a table of the model's kv heads",
      .cost = "nothing to compute",
      .parameters = kParameters,
      .exact = "window=16777216",
  };
  return info;
}

std::unique_ptr<const PrefillPolicy> make_lserve(const Parameters& p) {
  const std::string& file = p.text("table");
  return std::make_unique<LServe>(Streaming{p.count("sinks"), p.count("window")},
                                  file == "none" ? HeadTable{} : read_head_table(file),
                                  p.number("share"));
}

}  // namespace fathom::kv
