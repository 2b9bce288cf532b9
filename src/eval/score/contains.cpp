// Scorers that look for the gold in the output.
#include <algorithm>

#include "eval/score/scorer.h"
#include "eval/score/text.h"

namespace fathom::eval {

double score_contains(const Judged& j) {
  return std::any_of(j.golds.begin(), j.golds.end(), [&](const std::string& gold) {
    return j.output.find(gold) != std::string_view::npos;
  });
}

double score_contains_ci_any(const Judged& j) {
  const std::string output = lower(j.output);
  return std::any_of(j.golds.begin(), j.golds.end(), [&](const std::string& gold) {
    return output.find(lower(gold)) != std::string::npos;
  });
}

double score_recall_ci(const Judged& j) {
  if (j.golds.empty()) return 0;
  const std::string output = lower(j.output);
  const auto found = std::count_if(j.golds.begin(), j.golds.end(), [&](const std::string& gold) {
    return output.find(lower(gold)) != std::string::npos;
  });
  return double(found) / double(j.golds.size());
}

}  // namespace fathom::eval
