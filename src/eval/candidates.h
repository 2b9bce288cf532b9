// Answers of one kind for a forced choice: is the right one the likeliest? Chance is known, and
// models that cannot write an answer can often still recognise it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "eval/instance.h"

namespace fathom::eval {

inline constexpr size_t kMostCandidates = 8;

// What a text looks like: "d5" for five digits, "A" and "a" for capitalised and small words, "h"
// for what is of hexadecimal digits and hyphens, ... Candidates share it.
std::string shape_of(std::string_view text);

// Runs of letters, digits, hyphens and what is not ASCII.
std::vector<std::string_view> words_of(std::string_view text);

// The right answer first, then up to seven others: the options of a multiple choice; else answers
// of the same shape, as different from each other as they come, out of the instance's other turns,
// the context, and other instances of the task. A function of its arguments alone. Fewer than two
// where there is no choice: several wanted items, long answers, or nothing else of that shape.
std::vector<std::string> candidates(const Instance& instance, size_t turn,
                                    std::span<const Instance> others);

}  // namespace fathom::eval
