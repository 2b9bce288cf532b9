#include "kv/keep/duo.h"

#include "kv/keep/budgeted.h"
#include "kv/keep/table_budget.h"

namespace fathom::kv {
namespace {

constexpr ParameterInfo kParameters[] = {
    {"heads", "", kAnyText, 0, 0, "table of gates, one line a layer, one number a kv head"},
    {"sparsity", "0.5", "", 0, 1, "share of heads that only keep a window"},
    {"sinks", "64", "", 0, 1e6, "first tokens that those keep"},
    {"recent", "256", "", 1, 1e9, "last tokens that those keep"},
};

}  // namespace

MethodInfo duo_info() {
  return {.stage = Stage::kKeep,
          .name = "duo",
          .summary = "retrieval heads keep everything, the others sinks and a window",
          .paper = "DuoAttention, 2024, arXiv:2410.10819",
          .needs = "a head table",
          .cost = "none",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_duo(const Parameters& p) {
  const Window window{p.count("sinks"), p.count("recent"), 0};
  const HeadTable table = required_table(p);
  return make_budgeted(nullptr, table_budget(table, p.number("sparsity"), window),
                       {window.sinks, window.recent}, Eviction::kAlways);
}

}  // namespace fathom::kv
