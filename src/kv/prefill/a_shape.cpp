#include "kv/prefill/a_shape.h"

#include "kv/prefill/selection.h"

namespace fathom::kv {
namespace {

class AShape final : public PrefillPolicy {
 public:
  explicit AShape(const Streaming& streaming) : streaming_(streaming) {}
  size_t query_block() const override { return kPieceTokens; }

  void select(const PrefillView& view, std::span<RowList> lists) const override {
    const ChunkBlocks blocks(view, query_block());
    for (size_t i = 0; i < lists.size(); ++i) {
      const size_t b = i % blocks.count();
      list_streaming(blocks.begin(b), blocks.end(b), streaming_, lists[i]);
    }
  }

 private:
  Streaming streaming_;
};

constexpr ParameterInfo kParameters[] = {
    {"sinks", "128", "", 1, 1 << 24, "first keys that every query reads"},
    {"window", "2048", "", 1, 1 << 24, "last keys that a query reads, itself included"},
};

}  // namespace

const MethodInfo& a_shape_info() {
  static const MethodInfo info{
      .name = "a_shape",
      .summary = "the first keys and a window; blind to the middle",
      .paper = "Efficient Streaming Language Models with Attention Sinks, 2023, arXiv:2309.17453",
      .cost = "nothing to compute",
      .parameters = kParameters,
      .exact = "window=16777216",
  };
  return info;
}

std::unique_ptr<const PrefillPolicy> make_a_shape(const Parameters& p) {
  return std::make_unique<AShape>(Streaming{p.count("sinks"), p.count("window")});
}

}  // namespace fathom::kv
