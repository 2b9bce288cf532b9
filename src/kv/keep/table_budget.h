// Budgets from a head table (kv/head_table.h): full heads keep all, the others a window.
#pragma once

#include "kv/head_table.h"
#include "kv/keep/budget.h"
#include "kv/method.h"

namespace fathom::kv {

// What a head that does not keep everything keeps.
struct Window {
  size_t sinks = 0;   // first tokens
  size_t recent = 0;  // last tokens, at least
  double share = 0;   // and at least this share of the text so far
};

// `sparsity`: share of heads, of all layers together, that keep a window. Asked for a layer or head
// that the table lacks, throws Error(kUsage).
BudgetPtr table_budget(const HeadTable& table, double sparsity, Window window);

// The table that a method's parameter `heads` names. Throws Error(kUsage) where it names none: the
// table is not optional. Throws Error(kBadFile).
HeadTable required_table(const Parameters& p);

}  // namespace fathom::kv
