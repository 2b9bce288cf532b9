#include "kv/prefill/tri_shape.h"

#include "kv/prefill/selection.h"

namespace fathom::kv {
namespace {

struct TriShapeArgs {
  Streaming streaming;
  size_t last, dense_layers;
};

class TriShape final : public PrefillPolicy {
 public:
  explicit TriShape(const TriShapeArgs& args) : args_(args) {}
  size_t query_block() const override { return kPieceTokens; }

  void select(const PrefillView& view, std::span<RowList> lists) const override {
    const ChunkBlocks blocks(view, query_block());
    const bool dense_layer = view.head.layer < args_.dense_layers;
    for (size_t i = 0; i < lists.size(); ++i) {
      const size_t b = i % blocks.count();
      if (dense_layer || blocks.end(b) + args_.last > view.prompt_end()) {
        list_dense(blocks.end(b), lists[i]);
      } else {
        list_streaming(blocks.begin(b), blocks.end(b), args_.streaming, lists[i]);
      }
    }
  }

 private:
  TriShapeArgs args_;
};

constexpr ParameterInfo kParameters[] = {
    {"sinks", "128", "", 1, 1 << 24, "first keys that every query reads"},
    {"window", "2048", "", 1, 1 << 24, "last keys that a query reads, itself included"},
    {"last", "128", "", 1, 1 << 24, "last queries of the prompt that read everything"},
    {"dense_layers", "0", "", 0, 10000, "first layers in which every query reads everything"},
};

}  // namespace

const MethodInfo& tri_shape_info() {
  static const MethodInfo info{
      .name = "tri_shape",
      .summary = "the first keys and a window, and everything for the prompt's last queries",
      .paper =
          "SCBench: A KV Cache-Centric Analysis of Long-Context Methods, 2024, "
          "arXiv:2412.10319; dense_layers: TriangleMix, 2025, arXiv:2507.21526",
      .cost = "nothing to compute",
      .parameters = kParameters,
      .exact = "window=16777216",
  };
  return info;
}

std::unique_ptr<const PrefillPolicy> make_tri_shape(const Parameters& p) {
  return std::make_unique<TriShape>(TriShapeArgs{
      {p.count("sinks"), p.count("window")}, p.count("last"), p.count("dense_layers")});
}

}  // namespace fathom::kv
