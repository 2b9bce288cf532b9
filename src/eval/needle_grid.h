// The needle grid as a matrix: scores by policy, length and depth, as a table for other programs.
#pragma once

#include <map>
#include <span>
#include <string>
#include <tuple>

#include "eval/report.h"

namespace fathom::eval {

// The lines of one policy, way of asking, task, length and depth.
struct NeedleCell {
  double score = 0, rouge = 0, choice = 0;  // sums
  size_t n = 0, rouges = 0, choices = 0;    // answers; of those with the extra; forced choices
};
// Policy, mode, "suite/task", length, and depth in tenths of the text, the nearest.
using NeedleKey = std::tuple<std::string, std::string, std::string, size_t, size_t>;
using NeedleGrid = std::map<NeedleKey, NeedleCell>;

// The tenth of the text, 0 to 10, that a depth from 0 to 1 is nearest to.
size_t nearest_tenth(double depth);

// Of the suite "needle"; lines of checks and without a depth are left out.
NeedleGrid needle_grid(std::span<const ResultLine> lines);

// "policy,mode,task,length,depth,score,n,rouge_l,choice,choice_n", depth in percent; a mean of
// nothing is empty. "" for no cells.
std::string needle_csv(const NeedleGrid& grid);

}  // namespace fathom::eval
