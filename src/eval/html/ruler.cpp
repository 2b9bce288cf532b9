// RULER's mean and effective length.
#include "eval/ruler_summary.h"

#include <set>

#include "eval/html/markup.h"
#include "eval/html/sections.h"

namespace fathom::eval::html {
namespace {

std::string length_cell(const RulerSummary& summary, size_t length) {
  for (const RulerLength& l : summary.lengths) {
    if (l.length != length) continue;
    std::string shown = with_interval(l.mean);
    if (l.tasks < ruler_tasks()) {
      shown += fmt::format(" <small>of {} tasks", l.tasks);
      if (l.first) shown += fmt::format(", (1) {}", percent(*l.first));
      shown += "</small>";
    }
    return cell(shown, l.mean.value);
  }
  return empty_cell();
}

}  // namespace

std::string ruler_table(const Report& report) {
  const std::vector<RulerSummary> summaries = ruler_summary(report);
  if (summaries.empty()) return "";
  std::set<size_t> lengths;
  for (const RulerSummary& s : summaries) {
    for (const RulerLength& l : s.lengths) lengths.insert(l.length);
  }
  std::vector<std::string> names;
  for (const size_t length : lengths) names.push_back(fmt::format("{} tokens, %", length));
  std::vector<Head> heads = {{"policy", "", false}};
  for (const std::string& name : names) heads.push_back({name.c_str()});
  heads.push_back({"effective length", "the largest with a mean of at least 85.6"});
  std::string rows;
  for (const RulerSummary& s : summaries) {
    rows += fmt::format("<tr data-p=\"{}\">{}", s.policy + 1, policy_cell(report, s.policy));
    for (const size_t length : lengths) rows += length_cell(s, length);
    rows += cell(effective_text(s), double(s.effective.value_or(0))) + "</tr>\n";
  }
  return section("ruler", "RULER",
                 fmt::format("Mean of the benchmark's {} tasks, and the largest length at which it "
                             "is at least {:.1f}. Where fewer tasks were answered, because (1) "
                             "cannot do the others, (1)'s mean of the same stands beside; the "
                             "length is then known only where those could not change it.",
                             ruler_tasks(), 100 * kRulerThreshold),
                 table(heads, rows));
}

}  // namespace fathom::eval::html
