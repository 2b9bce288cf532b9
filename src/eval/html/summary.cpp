// The first things to see: what is best at no loss that was seen, and the frontiers.
#include <algorithm>
#include <cmath>
#include <set>

#include "base/memory.h"
#include "eval/controls.h"
#include "eval/html/chart.h"
#include "eval/html/markup.h"
#include "eval/html/sections.h"
#include "eval/score/text.h"

namespace fathom::eval::html {
namespace {

using CostOf = double (*)(const CostSummary&);

// The cheapest real policy that is not worse than the first by the margin; where none is shown to
// be, of those without a difference seen.
struct Best {
  size_t policy;
  bool proven;
};
std::optional<Best> cheapest(const Report& report, CostOf cost) {
  for (const bool proven : {true, false}) {
    std::optional<size_t> best;
    for (size_t i = 1; i < report.policies.size(); ++i) {
      const PolicyReport& p = report.policies[i];
      if (!p.measured || !p.against_first || is_control(p.policy)) continue;
      const AgainstFirst& a = *p.against_first;
      const bool seen_worse = a.p < 0.05 || a.difference.difference.interval.high < 0;
      if (a.difference.sessions == 0 || (proven ? !a.not_worse : seen_worse)) continue;
      if (!best || cost(*p.measured) < cost(*report.policies[*best].measured)) best = i;
    }
    if (best) return Best{*best, proven};
  }
  return std::nullopt;
}

std::string card(const Report& report, const char* what, CostOf cost) {
  const std::optional<CostSummary>& first = report.policies[0].measured;
  const std::optional<Best> best = cheapest(report, cost);
  if (!first || !best) return "";
  const PolicyReport& p = report.policies[best->policy];
  const double factor = cost(*first) / cost(*p.measured);
  const std::string how = best->proven
                              ? fmt::format("not worse by {:.0f} points", 100 * report.margin)
                              : "no loss seen, but too few questions to rule it out";
  return fmt::format(
      "<div class=\"card\"><div class=\"what\">{}</div><div class=\"big\">{:.1f}×</div>"
      "<div class=\"who name\">{}</div><div class=\"what\">{}</div></div>\n",
      what, factor, escape_line(short_line(p.policy)), how);
}

// One of the three pictures: an axis of Report::frontiers.
struct Axis {
  size_t frontier;
  const char *title, *label;
  CostOf cost;
  std::string (*text)(double);
};

std::string bytes_text(double v) { return human_bytes(v); }

std::string title_of(const Report& report, size_t i, const Axis& axis) {
  const PolicyReport& p = report.policies[i];
  const Frontier& f = report.frontiers[axis.frontier];
  std::string out = fmt::format("({}) {}\nscore {:.1f} ({:.1f} to {:.1f}), {}", i + 1,
                                short_line(p.policy), 100 * p.mean.value, 100 * p.mean.interval.low,
                                100 * p.mean.interval.high, axis.text(axis.cost(*p.measured)));
  if (f.by[i]) {
    out += fmt::format("\ndominated by ({}) {}", *f.by[i] + 1,
                       short_line(report.policies[*f.by[i]].policy));
  }
  return out;
}

std::string frontier_chart(const Report& report, const Axis& axis) {
  const Frontier& f = report.frontiers[axis.frontier];
  Chart c{axis.title, axis.label, axis.text, axis.frontier == 0, {}};
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const PolicyReport& p = report.policies[i];
    if (f.places[i] == Frontier::Place::kUnknown) continue;
    c.points.push_back({i + 1, family_of(p.policy), title_of(report, i, axis),
                        axis.cost(*p.measured), p.mean.value, p.mean.interval.low,
                        p.mean.interval.high, f.places[i] == Frontier::Place::kOn});
  }
  return chart(c);
}

std::string legend(const Report& report) {
  std::set<std::string> there;
  for (const PolicyReport& p : report.policies) there.insert(family_of(p.policy));
  std::string out = "<div class=\"legend\">";
  for (const char* family : {"dense", "prefill", "keep", "store", "fetch", "mixed", "control"}) {
    if (there.count(family) == 0) continue;
    out += fmt::format("<span>{}{}</span>", mark(family), family_name(family));
  }
  return out + "</div>\n";
}

}  // namespace

std::string family_of(const std::string& policy) {
  const std::string line = short_line(policy);
  if (is_control(policy)) return "control";
  std::string found;
  for (const char* stage : {"prefill", "keep", "store", "fetch"}) {
    const std::string named = std::string(stage) + "=";
    if (!line.starts_with(named) && line.find(" " + named) == std::string::npos) continue;
    const bool plain =
        stage == std::string_view("store") && (line.find("store=f32") != std::string::npos ||
                                               line.find("store=f16") != std::string::npos ||
                                               line.find("store=bf16") != std::string::npos);
    if (plain) continue;
    found = found.empty() ? stage : "mixed";
  }
  return found.empty() ? "dense" : found;
}

std::string_view family_name(std::string_view family) {
  if (family == "dense") return "dense attention";
  if (family == "prefill") return "reads the prompt sparsely";
  if (family == "keep") return "keeps fewer tokens";
  if (family == "store") return "stores fewer bits";
  if (family == "fetch") return "reads fewer keys";
  if (family == "mixed") return "several at once";
  return "control: by lot, or by one who knows";
}

std::string summary_cards(const Report& report) {
  if (report.policies.empty()) return "";
  const PolicyReport& first = report.policies[0];
  std::string out = "<div class=\"cards\">\n";
  if (first.counted > 0) {
    out += fmt::format(
        "<div class=\"card\"><div class=\"what\">right answers, everything read</div>"
        "<div class=\"big\">{} %</div><div class=\"who name\">{}</div>"
        "<div class=\"what\">mean of {} tasks and lengths that it can do, of {}</div></div>\n",
        percent(first.mean.value), escape_line(short_line(first.policy)), first.counted,
        first.cells.size());
  }
  out += card(report, "smaller cache", [](const CostSummary& c) { return c.kv_bytes; });
  out += card(report, "sooner first token",
              [](const CostSummary& c) { return c.first_token_seconds; });
  out += card(report, "faster decoding", [](const CostSummary& c) { return c.step_seconds; });
  return out + "</div>\n";
}

std::string frontier_charts(const Report& report) {
  if (report.frontiers.empty()) return "";
  const size_t length = report.policies[0].measured ? report.policies[0].measured->length : 0;
  const std::string at = fmt::format(" at {} tokens", length);
  const std::string labels[] = {"bytes of the cache" + at, "time to the first token" + at,
                                "time of one decoded token" + at};
  const Axis axes[] = {{0, "Quality and memory", labels[0].c_str(),
                        [](const CostSummary& c) { return c.kv_bytes; }, bytes_text},
                       {1, "Quality and the wait for the first token", labels[1].c_str(),
                        [](const CostSummary& c) { return c.first_token_seconds; }, seconds},
                       {2, "Quality and decoding", labels[2].c_str(),
                        [](const CostSummary& c) { return c.step_seconds; }, seconds}};
  std::string out = "<div class=\"charts\">\n";
  for (const Axis& axis : axes) out += frontier_chart(report, axis);
  return section(
      "frontier", "What quality costs",
      "Upwards: the mean score of the tasks that count, with its 95 % interval. To the left: "
      "cheaper. Numbered points are on the frontier: no other policy is as good for less. Rest "
      "the pointer on a point for its name.",
      out + "</div>\n" + legend(report));
}

}  // namespace fathom::eval::html
