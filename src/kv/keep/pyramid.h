// PyramidKV: lower layers keep more, higher ones less, the same on average. Wraps any scorer.
//
// Cai et al., "PyramidKV: Dynamic KV Cache Compression based on Pyramidal Information Funneling",
// 2024, arXiv:2406.02069. Checked: kAuthors and kKvpress give the budgets of those repositories.
#pragma once

#include "kv/keep/budget.h"
#include "kv/method.h"

namespace fathom::kv {

enum class PyramidRule : uint8_t {
  kExact,    // real steps; rounded so that the layers together keep exactly layers * budget
  kAuthors,  // integer steps, which exceed that total; even where the prompt is short
  kKvpress,  // real steps, the window counted in; even where it does not fit
};

struct PyramidShape {
  size_t layers = 1;
  size_t budget = 0;  // average of the layers, window included
  size_t window = 0;  // forced tokens
  size_t prompt = 0;
  double beta = 20;  // the lowest share is 1 / beta of the average
};

// What a head of `layer` keeps, window included.
size_t pyramid_budget(const PyramidShape& shape, PyramidRule rule, size_t layer);

struct PyramidOptions {
  size_t budget = 2048;
  size_t window = 32;
  double beta = 20;
  PyramidRule rule = PyramidRule::kExact;
};
BudgetPtr make_pyramid_budget(PyramidOptions options);

MethodInfo pyramid_info();
std::unique_ptr<const KeepPolicy> make_pyramid(const Parameters& p);

}  // namespace fathom::kv
