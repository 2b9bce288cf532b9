#include "kv/keep/table_budget.h"

#include <algorithm>

#include "base/error.h"

namespace fathom::kv {
namespace {

class TableBudget final : public Budget {
 public:
  TableBudget(const HeadTable& table, double sparsity, Window window)
      : layers_(table.layers()),
        kv_heads_(table.kv_heads),
        full_(full_heads(table, sparsity)),
        window_(window) {}

  size_t head_limit(const KeepView& view, size_t kv_head) const override {
    const HeadView& head = view.heads[kv_head];
    if (head.layer >= layers_ || view.heads.size() != kv_heads_) {
      throw usage_error("--kv", "the head table is for {} layers of {} kv heads, not for {} of {}",
                        layers_, kv_heads_, view.layers, view.heads.size());
    }
    if (full_[head.layer * kv_heads_ + kv_head] || head.tokens == 0) return head.tokens;
    const double text = static_cast<double>(head.position(head.tokens - 1)) + 1;
    return window_.sinks + std::max(window_.recent, static_cast<size_t>(text * window_.share));
  }
  void share(const KeepView& view, std::span<const Candidates> heads,
             std::span<size_t> tokens) const override {
    for (size_t h = 0; h < heads.size(); ++h) {
      tokens[h] = std::min(heads[h].tokens, head_limit(view, h));
    }
  }

 private:
  size_t layers_, kv_heads_;
  std::vector<uint8_t> full_;
  Window window_;
};

}  // namespace

BudgetPtr table_budget(const HeadTable& table, double sparsity, Window window) {
  return std::make_unique<TableBudget>(table, sparsity, window);
}

HeadTable required_table(const Parameters& p) {
  if (!p.text("heads").empty()) return read_head_table(p.text("heads"));
  throw with_hint(usage_error("--kv", "'heads' is missing"),
                  "heads=FILE: a table of one line a layer, one number a kv head");
}

}  // namespace fathom::kv
