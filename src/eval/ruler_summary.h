// RULER's summary (Hsieh et al. 2024): the mean of its 13 tasks at each length, and the effective
// length, up to which a model, here a policy, keeps what Llama-2-7B reaches at 4,096 tokens.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "eval/report.h"

namespace fathom::eval {

inline constexpr double kRulerThreshold = 0.856;

struct RulerLength {
  size_t length = 0;
  size_t tasks = 0;             // that were answered; the gate keeps others from what is not first
  Estimate mean;                // of these
  std::optional<double> first;  // the first policy's mean of the same tasks, for the others
};

struct RulerSummary {
  size_t policy = 0;  // of Report::policies
  std::vector<RulerLength> lengths;
  // The largest length with a mean of at least the threshold; 0: none of them. Nothing where that
  // depends on tasks that were not answered.
  std::optional<size_t> effective;
};

// Tasks of the benchmark.
size_t ruler_tasks();
// Of every policy that answered one of them. A pure function of the report.
std::vector<RulerSummary> ruler_summary(const Report& report);

// "8192", "none of these", "not known".
std::string effective_text(const RulerSummary& summary);

std::string ruler_text(const Report& report);  // "" where there is nothing to show
nlohmann::ordered_json ruler_json(const Report& report);

}  // namespace fathom::eval
