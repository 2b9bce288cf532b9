// Tables: policies, tasks, turns, checks.
#include <algorithm>
#include <map>

#include "eval/controls.h"
#include "eval/html/chart.h"
#include "eval/html/markup.h"
#include "eval/html/sections.h"

namespace fathom::eval::html {
namespace {

const std::string kNothing = empty_cell();

std::string mark_of(const Report& report, size_t axis, size_t policy) {
  if (axis >= report.frontiers.size()) return "";
  const Frontier& f = report.frontiers[axis];
  switch (f.places[policy]) {
    case Frontier::Place::kOn:
      return " <span class=\"star\" title=\"on the frontier\">★</span>";
    case Frontier::Place::kDominated:
      return fmt::format(" <span class=\"soft\" title=\"dominated by ({}) {}\">·</span>",
                         *f.by[policy] + 1,
                         escape(short_line(report.policies[*f.by[policy]].policy)));
    default:
      return " <span class=\"soft\" title=\"neither can be told\">~</span>";
  }
}

std::string times(double value, double reference) {
  return fmt::format("<small>{:.2f}×</small>", value / reference);
}

std::string cost_cells(const Report& report, size_t i) {
  const auto& c = report.policies[i].measured;
  const auto& first = report.policies[0].measured;
  if (!c || !first) return kNothing + kNothing + kNothing + kNothing + kNothing;
  return cell(fmt::format("{} {}{}", bytes(c->kv_bytes), times(c->kv_bytes, first->kv_bytes),
                          mark_of(report, 0, i)),
              c->kv_bytes) +
         cell(fmt::format("{} {}{}", seconds(c->first_token_seconds),
                          times(c->first_token_seconds, first->first_token_seconds),
                          mark_of(report, 1, i)),
              c->first_token_seconds) +
         cell(fmt::format("{} {}{}", seconds(c->step_seconds),
                          times(c->step_seconds, first->step_seconds), mark_of(report, 2, i)),
              c->step_seconds) +
         (c->moved_bytes > 0 && first->moved_bytes > 0
              ? cell(fmt::format("{} {}", bytes(c->moved_bytes),
                                 times(c->moved_bytes, first->moved_bytes)),
                     c->moved_bytes)
              : kNothing) +
         cell(fmt::format("{:.0f} <small>{:.0f}</small>", 100 * c->prompt_read, 100 * c->keys_read),
              c->prompt_read * c->keys_read);
}

std::string difference_cells(const PolicyReport& p) {
  if (!p.against_first || p.against_first->difference.sessions == 0) return kNothing + kNothing;
  const AgainstFirst& a = *p.against_first;
  const Estimate& d = a.difference.difference;
  const char* tone = a.holm < 0.05 ? (d.value < 0 ? "bad" : "good") : a.not_worse ? "good" : "";
  return cell(fmt::format("<span title=\"{}\">{:+.1f} <small>{:+.0f} to {:+.0f}</small></span>",
                          escape(a.verdict), 100 * d.value, 100 * d.interval.low,
                          100 * d.interval.high),
              d.value, tone) +
         cell(p_value(a.holm), a.holm);
}

// Of what the answers need: kept, and read, means over the tasks that say.
std::string gold_cell(const PolicyReport& p) {
  double kept = 0, fetched = 0;
  size_t n = 0, m = 0;
  for (const Cell& c : p.cells) {
    if (c.measure == Measure::kNone || !c.gold_kept) continue;
    kept += *c.gold_kept;
    ++n;
    if (c.gold_fetched) {
      fetched += *c.gold_fetched;
      ++m;
    }
  }
  if (n == 0) return kNothing;
  std::string shown = fmt::format("{:.0f}", 100 * kept / double(n));
  if (m > 0) shown += fmt::format(" <small>{:.0f} read</small>", 100 * fetched / double(m));
  return cell(shown, kept / double(n));
}

std::string task_cell(const Cell& reference, const Cell* c) {
  if (!c || reference.measure == Measure::kNone || c->judged().empty()) return kNothing;
  const Estimate& e = c->judged_summary().mean;
  return fmt::format("<td class=\"n tint\" style=\"--v:{0:.3f}\" data-v=\"{0:.6g}\">{1}</td>",
                     e.value, with_interval(e));
}

std::string judged_tasks(const Report& report) {
  std::vector<Head> heads = {{"policy", "", false}};
  std::vector<std::string> names;
  std::vector<const Cell*> cells;
  for (const Cell& c : report.policies[0].cells) {
    if (c.measure == Measure::kNone) continue;
    cells.push_back(&c);
    names.push_back(
        fmt::format("{} {}{}", c.task, c.length, c.measure == Measure::kChoice ? " (choice)" : ""));
  }
  if (cells.empty()) return "";
  for (const std::string& n : names) heads.push_back({n.c_str()});
  std::string rows;
  for (size_t i = 0; i < report.policies.size(); ++i) {
    rows += fmt::format("<tr data-p=\"{}\">{}", i + 1, policy_cell(report, i));
    for (const Cell* c : cells) rows += task_cell(*c, find_cell(report.policies[i], *c));
    rows += "</tr>\n";
  }
  return table(heads, rows);
}

std::string failed_tasks(const Report& report) {
  std::string rows;
  size_t n = 0;
  for (const Cell& c : report.policies[0].cells) {
    if (c.measure != Measure::kNone) continue;
    ++n;
    rows += fmt::format(
        "<tr>{}{}{}{}{}</tr>\n", text_cell(c.task, "first"),
        cell(std::to_string(c.length), double(c.length)),
        c.sessions.empty() ? kNothing : cell(with_interval(c.summary.mean), c.summary.mean.value),
        c.choices.empty() ? kNothing
                          : cell(with_interval(c.choice_summary.mean), c.choice_summary.mean.value),
        c.gold_nll ? cell(fmt::format("{:.2f}", *c.gold_nll), *c.gold_nll) : kNothing);
  }
  if (n == 0) return "";
  return fmt::format(
             "<details><summary>{} tasks and lengths that this model cannot do with {}</summary>"
             "<p>They say nothing of the other policies and are left out of every mean. The gate: "
             "the lower end of the interval lies 25 points above chance, and 60 % of the answers "
             "are right; or so for the forced choice, where up to eight answers of one kind stand "
             "to choose from.</p>",
             n, escape(short_line(report.policies[0].policy))) +
         table({{"task", "", false},
                {"tokens"},
                {"answers right, %"},
                {"forced choice, %"},
                {"gold NLL", "mean -ln p of the right answer's tokens"}},
               rows) +
         "</details>\n";
}

}  // namespace

std::string policy_cell(const Report& report, size_t policy) {
  const PolicyReport& p = report.policies[policy];
  const std::string family = family_of(p.policy);
  return fmt::format(
      "<td class=\"first\" data-v=\"{0}\"><span class=\"row\"><span class=\"no\">{0}"
      "</span>{1}<span class=\"name\" title=\"{2}\">{3}</span></span></td>",
      policy + 1, mark(family), escape(p.policy), escape_line(short_line(p.policy)));
}

std::string policy_table(const Report& report) {
  if (report.policies.empty()) return "";
  std::string rows;
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const PolicyReport& p = report.policies[i];
    rows += fmt::format("<tr data-p=\"{}\">{}{}", i + 1, policy_cell(report, i),
                        p.counted > 0 ? cell(with_interval(p.mean), p.mean.value) : kNothing);
    rows += difference_cells(p) + cost_cells(report, i) + gold_cell(p) + "</tr>\n";
  }
  const std::string body =
      table({{"policy", "", false},
             {"score, %", "mean of the tasks that count, 95 % interval"},
             {"against (1)", "paired, over the same questions, 95 % interval"},
             {"p (Holm)", "corrected for the number of policies"},
             {"cache", "bytes after decoding, and relative to (1)"},
             {"first token", "median, nothing cached"},
             {"a token", "median time of a decoded token"},
             {"moved a token",
              "bytes of the cache that a decoded token reads, looks at to choose, and writes"},
             {"read, %", "of the pairs of the prompt, and of the keys when decoding"},
             {"gold kept, %", "of what the answers need, and how much of it steps read"}},
            rows);
  return section("policies", "Policies",
                 "Differences are paired: the same questions under both policies. Green: shown not "
                 "to be worse than (1) by the margin; orange: worse, after Holm's correction. "
                 "★ on the frontier, · dominated, ~ neither can be told. Sort by a click on a "
                 "heading.",
                 body);
}

std::string task_tables(const Report& report) {
  if (report.policies.empty()) return "";
  const std::string body = judged_tasks(report) + failed_tasks(report);
  if (body.empty()) return "";
  return section("tasks", "Task by task",
                 "Share of right answers in percent, with 95 % intervals. Choice: the right answer "
                 "is the likeliest of up to eight.",
                 body);
}

std::string turn_table(const Report& report) {
  size_t turns = 0;
  std::string rows;
  std::vector<std::vector<double>> all;
  for (const PolicyReport& p : report.policies) {
    std::vector<double> sum, n;
    for (const Cell& c : p.cells) {
      if (c.measure != Measure::kAnswer || c.summary.by_turn.size() < 2) continue;
      sum.resize(std::max(sum.size(), c.summary.by_turn.size()));
      n.resize(sum.size());
      for (size_t t = 0; t < c.summary.by_turn.size(); ++t) {
        sum[t] += c.summary.by_turn[t];
        n[t] += 1;
      }
    }
    for (size_t t = 0; t < sum.size(); ++t) sum[t] /= n[t];
    turns = std::max(turns, sum.size());
    all.push_back(sum);
  }
  if (turns < 2 || !report.policies[0].mode.starts_with("multi-turn")) return "";
  std::vector<Head> heads = {{"policy", "", false}};
  std::vector<std::string> names;
  for (size_t t = 0; t < turns; ++t) names.push_back(fmt::format("turn {}", t + 1));
  for (const std::string& name : names) heads.push_back({name.c_str()});
  for (size_t i = 0; i < all.size(); ++i) {
    rows += fmt::format("<tr data-p=\"{}\">{}", i + 1, policy_cell(report, i));
    for (size_t t = 0; t < turns; ++t) {
      rows += t < all[i].size()
                  ? fmt::format(
                        "<td class=\"n tint\" style=\"--v:{0:.3f}\" data-v=\"{0:.6g}\">"
                        "{1:.1f}</td>",
                        all[i][t], 100 * all[i][t])
                  : kNothing;
    }
    rows += "</tr>\n";
  }
  return section("turns", "Turn by turn",
                 "A policy that keeps what the first question needs falls in later turns.",
                 table(heads, rows));
}

std::string check_table(const Report& report) {
  if (report.checks.empty()) return "";
  std::string rows;
  for (const CheckResult& c : report.checks) {
    const bool bad = c.score.interval.low > c.chance;
    rows += fmt::format(
        "<tr>{}{}{}{}{}</tr>\n", text_cell(c.task, "first"),
        cell(std::to_string(c.length), double(c.length)),
        text_cell(c.check == kClosedBook ? "without the context" : "without what the answers need"),
        cell(with_interval(c.score), c.score.value, bad ? "bad" : ""),
        cell(percent(c.chance), c.chance));
  }
  return section(
      "checks", "Do the tasks ask for the context?",
      "The first policy on the questions alone, and on contexts out of which the facts "
      "were cut. Scores should be near chance; orange where they are above it.",
      table({{"task", "", false}, {"tokens"}, {"asked", "", false}, {"score, %"}, {"chance, %"}},
            rows));
}

}  // namespace fathom::eval::html
