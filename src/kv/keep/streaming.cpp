#include "kv/keep/streaming.h"

#include "kv/keep/budgeted.h"

namespace fathom::kv {
namespace {

class StreamingPolicy final : public KeepPolicy {
 public:
  StreamingPolicy(size_t sinks, size_t recent, bool slots)
      : inner_(make_budgeted(nullptr, even_budget(sinks + recent), {sinks, recent},
                             Eviction::kAlways)),
        budget_(sinks + recent),
        moving_(slots ? sinks : 0) {}

  bool evicts_while_decoding() const override { return true; }
  bool evicts_while_reading() const override { return true; }
  size_t bound() const override { return budget_; }
  size_t moving_sinks() const override { return moving_; }
  void select(const KeepView& view, std::span<std::vector<int32_t>> kept) const override {
    inner_->select(view, kept);
  }

 private:
  std::unique_ptr<const KeepPolicy> inner_;
  size_t budget_, moving_;
};

constexpr ParameterInfo kParameters[] = {
    {"sinks", "4", "", 0, 1e6, "first tokens that stay"},
    {"recent", "2044", "", 1, 1e9, "last tokens that stay"},
    {"positions", "text", "text|slots", 0, 0,
     "of the first tokens: where they stand in the text, or right before the window, which is what "
     "texts longer than the model was trained for need"},
};

}  // namespace

MethodInfo streaming_info() {
  return {.stage = Stage::kKeep,
          .name = "streaming",
          .summary = "the first tokens and a window of the last ones; endless in constant memory",
          .paper =
              "Efficient Streaming Language Models with Attention Sinks, 2023, "
              "arXiv:2309.17453",
          .cost = "none; with positions=slots, turning the first keys once a page",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_streaming(const Parameters& p) {
  return std::make_unique<StreamingPolicy>(p.count("sinks"), p.count("recent"),
                                           p.text("positions") == "slots");
}

}  // namespace fathom::kv
