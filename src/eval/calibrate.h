// Chooses a pattern and its sizes for every query head of a model, for prefill=minference: the
// offline search of MInference (2024, arXiv:2407.02490), by its paper's rule. Each candidate's
// sizes are what fits a budget in the kernel's own cost, whole tiles; the candidate whose output is
// nearest to that of dense attention is taken. Its repository's search judges by recall of
// attention over fixed sizes and then rewrites most of what it found.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/runner.h"
#include "kv/prefill/minference_table.h"

namespace fathom::eval {

struct CalibrationOptions {
  double budget = 0.2;  // share of dense attention's cost that a head may take
  size_t rows = 256;    // queries whose output is compared, evenly spread
};

// A head of a prompt, as its layer's attention saw it. Query t lies at q + t * q_stride, its dense
// output at out + t * q_stride; keys and values at k, v + t * kv_stride.
struct PromptHead {
  size_t layer = 0, tokens = 0, head_dim = 0;
  const float *q = nullptr, *k = nullptr, *v = nullptr, *out = nullptr;
  size_t q_stride = 0, kv_stride = 0;
  float scale = 1.0f, soft_cap = 0.0f;
  int32_t window = 0;
};

// What a candidate came to.
struct PatternTrial {
  kv::MInferenceHead head;
  double cost = 0;   // share of dense attention's tiles
  double error = 0;  // |out - dense| / |dense| over the rows
};

// Every candidate at the largest size that fits the budget; those that do not fit at their smallest
// are left out, unless none does: then the cheapest is there alone. Never empty.
std::vector<PatternTrial> try_patterns(const PromptHead& head, const CalibrationOptions& options);
// The nearest; of equal ones the cheaper, then the first.
const PatternTrial& best_trial(const std::vector<PatternTrial>& trials);

using Calibration = std::vector<std::vector<std::vector<PatternTrial>>>;  // [layer][head][trial]

// Reads the tokens in one step and tries the patterns on every head. Reports
// "calibrating" in layers; nothing where a report ended it.
// REQUIRES: the runner's policy is dense, keeps all in f32, and a step holds the tokens.
std::optional<Calibration> calibrate(engine::Runner& runner,
                                     std::span<const engine::TokenId> tokens,
                                     const CalibrationOptions& options, const Progress& progress);

// The best of each head, in the form that prefill=minference(table=...) reads; its score is the
// error.
std::string minference_table_text(const Calibration& calibration);

}  // namespace fathom::eval
