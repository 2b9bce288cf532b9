#include "eval/ruler_summary.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "eval/task/task.h"

namespace fathom::eval {
namespace {

constexpr std::string_view kPrefix = "ruler/";

std::vector<const Cell*> answered(const PolicyReport& policy, size_t length) {
  std::vector<const Cell*> out;
  for (const Cell& c : policy.cells) {
    if (c.task.starts_with(kPrefix) && c.length == length && !c.sessions.empty()) out.push_back(&c);
  }
  return out;
}

RulerLength at_length(const PolicyReport& first, const PolicyReport& policy, size_t length) {
  RulerLength out;
  out.length = length;
  std::vector<Estimate> scores;
  double sum = 0;
  size_t same = 0;
  for (const Cell* c : answered(policy, length)) {
    scores.push_back(c->summary.mean);
    const Cell* reference = find_cell(first, *c);
    if (!reference || reference->sessions.empty()) continue;
    sum += reference->summary.mean.value;
    ++same;
  }
  out.tasks = scores.size();
  out.mean = mean_of_estimates(scores);
  if (&policy != &first && same == out.tasks) out.first = sum / double(same);
  return out;
}

// From the longest down: what the unanswered tasks could add decides whether a length is known.
std::optional<size_t> effective_length(const std::vector<RulerLength>& lengths) {
  const auto all = double(ruler_tasks());
  for (auto l = lengths.rbegin(); l != lengths.rend(); ++l) {
    const auto tasks = double(l->tasks);
    const double least = l->mean.value * tasks / all;
    if (least >= kRulerThreshold) return l->length;
    if (least + (all - tasks) / all >= kRulerThreshold) return std::nullopt;
  }
  return 0;
}

std::set<size_t> lengths_of(const std::vector<RulerSummary>& summaries) {
  std::set<size_t> out;
  for (const RulerSummary& s : summaries) {
    for (const RulerLength& l : s.lengths) out.insert(l.length);
  }
  return out;
}

std::string length_text(const RulerSummary& summary, size_t length) {
  for (const RulerLength& l : summary.lengths) {
    if (l.length != length) continue;
    std::string out = fmt::format("{:.1f} [{:.1f}, {:.1f}]", 100 * l.mean.value,
                                  100 * l.mean.interval.low, 100 * l.mean.interval.high);
    if (l.tasks < ruler_tasks()) out += fmt::format(" of {}", l.tasks);
    if (l.tasks < ruler_tasks() && l.first) out += fmt::format(" ((1) {:.1f})", 100 * *l.first);
    return out;
  }
  return "-";
}

}  // namespace

size_t ruler_tasks() {
  return static_cast<size_t>(std::count_if(all_tasks().begin(), all_tasks().end(),
                                           [](const TaskInfo& t) { return t.suite == "ruler"; }));
}

std::vector<RulerSummary> ruler_summary(const Report& report) {
  std::vector<RulerSummary> out;
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const PolicyReport& policy = report.policies[i];
    std::set<size_t> lengths;
    for (const Cell& c : policy.cells) {
      if (c.task.starts_with(kPrefix) && !c.sessions.empty()) lengths.insert(c.length);
    }
    if (lengths.empty()) continue;
    RulerSummary& s = out.emplace_back();
    s.policy = i;
    for (const size_t length : lengths) {
      s.lengths.push_back(at_length(report.policies[0], policy, length));
    }
    s.effective = effective_length(s.lengths);
  }
  return out;
}

std::string effective_text(const RulerSummary& summary) {
  if (!summary.effective) return "not known";
  return *summary.effective > 0 ? std::to_string(*summary.effective) : "none of these";
}

std::string ruler_text(const Report& report) {
  const std::vector<RulerSummary> summaries = ruler_summary(report);
  if (summaries.empty()) return "";
  std::string out = fmt::format("\n{:<5}", "RULER");
  for (const size_t length : lengths_of(summaries)) out += fmt::format(" {:>38}", length);
  out += fmt::format("  {:>16}\n", "effective length");
  bool some = false;
  for (const RulerSummary& s : summaries) {
    out += fmt::format("{:<5}", fmt::format("({})", s.policy + 1));
    for (const size_t length : lengths_of(summaries)) {
      out += fmt::format(" {:>38}", length_text(s, length));
    }
    out += fmt::format("  {:>16}\n", effective_text(s));
    for (const RulerLength& l : s.lengths) some |= l.tasks < ruler_tasks();
  }
  out += fmt::format("mean of its {} tasks; effective length: the largest with at least {:.1f}\n",
                     ruler_tasks(), 100 * kRulerThreshold);
  if (some) {
    out +=
        "of N: so many tasks were answered, beside (1)'s mean of the same; what (1) cannot do is "
        "asked of the others with --ungated only\n";
  }
  return out;
}

nlohmann::ordered_json ruler_json(const Report& report) {
  using Json = nlohmann::ordered_json;
  Json out = Json::array();
  for (const RulerSummary& s : ruler_summary(report)) {
    const PolicyReport& p = report.policies[s.policy];
    Json lengths = Json::array();
    for (const RulerLength& l : s.lengths) {
      lengths.push_back({{"length", l.length},
                         {"tasks_answered", l.tasks},
                         {"tasks", ruler_tasks()},
                         {"score", l.mean.value},
                         {"low", l.mean.interval.low},
                         {"high", l.mean.interval.high},
                         {"first_policy_on_these", l.first ? Json(*l.first) : Json()}});
    }
    out.push_back({{"policy", p.policy},
                   {"mode", p.mode},
                   {"lengths", lengths},
                   {"threshold", kRulerThreshold},
                   {"effective_length", s.effective ? Json(*s.effective) : Json()}});
  }
  return out;
}

}  // namespace fathom::eval
