#include "kv/keep/budget.h"

#include <algorithm>

namespace fathom::kv {
namespace {

class EvenBudget final : public Budget {
 public:
  EvenBudget(size_t limit, size_t target) : limit_(limit), target_(target) {}

  size_t head_limit(const KeepView& view, size_t kv_head) const override {
    return view.heads[kv_head].tokens <= limit_ ? limit_ : target_;
  }
  void share(const KeepView& view, std::span<const Candidates> heads,
             std::span<size_t> tokens) const override {
    for (size_t h = 0; h < heads.size(); ++h) {
      tokens[h] = std::min(head_limit(view, h), heads[h].tokens);
    }
  }

 private:
  size_t limit_, target_;
};

}  // namespace

BudgetPtr even_budget(size_t limit, size_t target) {
  return std::make_unique<EvenBudget>(limit, target);
}

}  // namespace fathom::kv
