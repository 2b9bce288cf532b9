// Answers that name more than was asked for.
#include "eval/over_generation.h"

#include "eval/html/markup.h"
#include "eval/html/sections.h"

namespace fathom::eval::html {

std::string over_generation_table(const Report& report) {
  std::string rows;
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const NamedSummary s = named_summary(report.policies[i]);
    if (s.answers == 0) continue;
    rows += fmt::format(
        "<tr data-p=\"{}\">{}{}{}{}</tr>\n", i + 1, policy_cell(report, i),
        s.naming > 0 ? cell(percent(s.mean_precision()), s.mean_precision()) : empty_cell(),
        cell(std::to_string(s.answers), double(s.answers)),
        cell(std::to_string(s.too_many), double(s.too_many), s.too_many > 0 ? "bad" : ""));
  }
  if (rows.empty()) return "";
  return section(
      "naming", "Do answers name more than was asked for?",
      "Scores that look for the right value in an answer reward copying out the context. "
      "Of tasks that ask for keys' values, strings and numbers: the share of the "
      "different values of that kind in an answer that were asked for, mean over the "
      "answers that name any; and the answers that name more than two others.",
      table({{"policy", "", false},
             {"precision, %"},
             {"answers", "to questions for values"},
             {"with too many", "more than two beside what was asked for"}},
            rows));
}

}  // namespace fathom::eval::html
