#include "kv/keep/razor.h"

#include "kv/keep/budgeted.h"
#include "kv/keep/table_budget.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

class Razor final : public KeepPolicy {
 public:
  Razor(std::unique_ptr<const KeepPolicy> inner) : inner_(std::move(inner)) {}

  bool evicts_while_decoding() const override { return true; }
  bool evicts_while_reading() const override { return true; }
  bool folds() const override { return true; }
  bool leaves_extra_token() const override { return true; }

  void select(const KeepView& view, std::span<std::vector<int32_t>> kept) const override {
    inner_->select(view, kept);
  }

  Folded fold(const HeadView& head, std::span<const int32_t> kept) const override {
    Folded out;
    out.count = head.tokens - kept.size();
    if (out.count == 0) return out;
    const float share = 1.0f / static_cast<float>(out.count);
    out.extra_k.resize(head.head_dim);
    out.extra_v.resize(head.head_dim);
    size_t next = 0;  // in kept
    for (size_t t = 0; t < head.tokens; ++t) {
      if (next < kept.size() && static_cast<size_t>(kept[next]) == t) {
        ++next;
        continue;
      }
      add_scaled(share, head.key(t), head.head_dim, out.extra_k.data());
      add_scaled(share, head.value(t), head.head_dim, out.extra_v.data());
    }
    return out;
  }

 private:
  std::unique_ptr<const KeepPolicy> inner_;
};

constexpr ParameterInfo kParameters[] = {
    {"heads", "", kAnyText, 0, 0, "table of gates, one line a layer, one number a kv head"},
    {"sparsity", "0.85", "", 0, 1, "share of heads that only keep a window"},
    {"sinks", "4", "", 0, 1e6, "first tokens that those keep"},
    {"recent", "4000", "", 1, 1e9, "last tokens that those keep at least"},
    {"share", "0.2", "", 0, 1, "share of the text that they keep at least"},
};

}  // namespace

MethodInfo razor_info() {
  return {.stage = Stage::kKeep,
          .name = "razor",
          .summary = "retrieval heads keep everything, the others a window and one mean token",
          .paper = "unchecked: RazorAttention, 2024, arXiv:2407.15891",
          .needs = "a head table",
          .cost = "2 * head_dim additions a dropped token",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_razor(const Parameters& p) {
  const Window window{p.count("sinks"), p.count("recent"), p.number("share")};
  const HeadTable table = required_table(p);
  return std::make_unique<Razor>(make_budgeted(nullptr,
                                               table_budget(table, p.number("sparsity"), window),
                                               {window.sinks, window.recent}, Eviction::kAlways));
}

}  // namespace fathom::kv
