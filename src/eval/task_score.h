// How an instance's answers are judged, and what is right.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "eval/instance.h"

namespace fathom::eval {

// By the rule of the turn's task. Throws Error(kUsage) for a task that has no scorer.
double score_output(const Instance& instance, size_t turn, std::string_view output);

// ROUGE-L of an answer to a question for a needle: F-measure against the needle's sentence in the
// context or against the right answer alone, whichever is better. Nothing for other suites.
std::optional<double> needle_rouge(const Instance& instance, size_t turn, std::string_view output);

// The gold answer as one text: the first alternative, or all wanted items.
std::string gold_text(const Instance& instance, size_t turn);
// Whether an answer is one of several alternatives, rather than a list of items.
bool one_gold(const Instance& instance, size_t turn);

}  // namespace fathom::eval
