// Quality and cost by capability and length: small pictures beside each other, a line for each
// method through its settings.
#include <algorithm>
#include <cmath>
#include <map>

#include "base/memory.h"
#include "eval/controls.h"
#include "eval/html/chart.h"
#include "eval/html/markup.h"
#include "eval/html/sections.h"
#include "eval/score_table.h"

namespace fathom::eval::html {
namespace {

constexpr double kWidth = 300, kHeight = 210;
constexpr double kLeft = 30, kRight = 10, kTop = 8, kBottom = 34;

using CostOf = double (*)(const CostSummary&);

// One of the three versions of the pictures.
struct Version {
  const char *title, *label;
  CostOf cost;
  std::string (*text)(double);
};

std::string bytes_text(double v) { return human_bytes(v); }

constexpr Version kVersions[] = {
    {"By bytes of the cache", "bytes of the cache a token",
     [](const CostSummary& c) { return c.bytes_per_token(); }, bytes_text},
    {"By decoding", "time of a decoded token", [](const CostSummary& c) { return c.step_seconds; },
     seconds},
    {"By the wait for the first token", "time to the first token",
     [](const CostSummary& c) { return c.first_token_seconds; }, seconds}};

struct Mark {
  size_t number = 0;
  std::string policy, method, mode;
  double x = 1;
  Estimate score;
  bool control = false;
};

// What one length says, all ways of asking.
struct Column {
  size_t length = 0;
  std::vector<Report> slices;
};

std::optional<Estimate> score_of(const PolicyReport& p, const std::string& group) {
  if (group.empty()) return p.counted > 0 ? std::optional(p.mean) : std::nullopt;
  for (const auto& [name, score] : p.groups) {
    if (name == group) return score;
  }
  return std::nullopt;
}

// The policy's number in the whole report.
size_t number_of(const Report& report, const PolicyReport& p) {
  for (size_t i = 0; i < report.policies.size(); ++i) {
    if (report.policies[i].policy == p.policy && report.policies[i].mode == p.mode) return i + 1;
  }
  return 0;
}

std::vector<Mark> marks_of(const Report& report, const Column& column, const std::string& group,
                           CostOf cost) {
  std::vector<Mark> out;
  for (const Report& slice : column.slices) {
    for (const PolicyReport& p : slice.policies) {
      const auto score = score_of(p, group);
      if (!score || !p.measured) continue;
      out.push_back({number_of(report, p), p.policy, split_name(short_line(p.policy)).method,
                     p.mode, cost(*p.measured), *score, is_control(p.policy)});
    }
  }
  return out;
}

struct Axes {
  double low = 1e9, high = -1e9;  // log2

  double x(double v) const {
    return kLeft + (std::log2(v) - low) / (high - low) * (kWidth - kLeft - kRight);
  }
  static double y(double share) {
    return kHeight - kBottom - std::clamp(share, 0.0, 1.0) * (kHeight - kTop - kBottom);
  }
};

Axes axes_of(const std::vector<Mark>& marks) {
  Axes a;
  for (const Mark& m : marks) {
    a.low = std::min(a.low, std::log2(m.x));
    a.high = std::max(a.high, std::log2(m.x));
  }
  const double room = std::max(0.15, 0.06 * (a.high - a.low));
  return {a.low - room, a.high + room};
}

std::string grid(const Axes& a, const Version& v) {
  std::string out;
  for (const int score : {0, 50, 100}) {
    out += fmt::format(
        "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/><text "
        "class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{:.1f}\">{}</text>\n",
        kLeft, kWidth - kRight, Axes::y(score / 100.0), Axes::y(score / 100.0), kLeft - 5,
        Axes::y(score / 100.0) + 4, score);
  }
  // Powers of two, at most five of them.
  const double step = std::max(1.0, std::ceil((a.high - a.low) / 5));
  for (double e = std::ceil(a.low); e <= a.high; e += step) {
    const double x = a.x(std::exp2(e));
    out += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/><text "
        "class=\"tick\" text-anchor=\"middle\" x=\"{0:.1f}\" y=\"{3}\">{4}</text>\n",
        x, kTop, kHeight - kBottom, kHeight - kBottom + 14, escape(v.text(std::exp2(e))));
  }
  return out;
}

// The first policy's interval, across.
std::string band(const Mark& first) {
  const double top = Axes::y(first.score.interval.high);
  return fmt::format(
      "<rect class=\"band\" x=\"{}\" y=\"{:.1f}\" width=\"{}\" height=\"{:.1f}\"/><line "
      "class=\"level\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>\n",
      kLeft, top, kWidth - kLeft - kRight, std::max(0.0, Axes::y(first.score.interval.low) - top),
      kLeft, kWidth - kRight, Axes::y(first.score.value), Axes::y(first.score.value));
}

// Of the marks themselves, of one way of asking: none is cheaper and better.
std::string frontier(const Axes& a, const std::vector<Mark>& marks) {
  std::vector<CostQuality> points;
  for (const Mark& m : marks) {
    if (!m.control && m.mode == marks[0].mode) points.push_back({m.x, m.score.value});
  }
  const std::vector<bool> on = pareto(points);
  std::vector<CostQuality> steps;
  for (size_t i = 0; i < points.size(); ++i) {
    if (on[i]) steps.push_back(points[i]);
  }
  std::sort(steps.begin(), steps.end(), [](auto& p, auto& q) { return p.cost < q.cost; });
  std::string path;
  for (const CostQuality& s : steps) {
    path += path.empty() ? fmt::format("M{:.1f} {:.1f}", a.x(s.cost), kHeight - kBottom)
                         : fmt::format("H{:.1f}", a.x(s.cost));
    path += fmt::format("V{:.1f}", Axes::y(s.quality));
  }
  if (path.empty()) return "";
  return fmt::format("<path class=\"frontier\" d=\"{}H{:.1f}\"/>\n", path, kWidth - kRight);
}

// A method's settings, joined; by cost.
std::string method_lines(const Axes& a, const std::vector<Mark>& marks) {
  std::map<std::pair<std::string, std::string>, std::vector<const Mark*>> methods;
  for (const Mark& m : marks) methods[{m.method, m.mode}].push_back(&m);
  std::string out;
  for (auto& [name, own] : methods) {
    if (own.size() < 2) continue;
    std::sort(own.begin(), own.end(), [](const Mark* p, const Mark* q) { return p->x < q->x; });
    std::string path;
    for (const Mark* m : own) {
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", a.x(m->x),
                          Axes::y(m->score.value));
    }
    out += fmt::format("<g class=\"f-{}\"><path class=\"run\" d=\"{}\"/></g>\n",
                       family_of(own[0]->policy), path);
  }
  return out;
}

std::string mark_at(const Axes& a, const Mark& m, const Version& v) {
  const double x = a.x(m.x), y = Axes::y(m.score.value);
  const std::string title = fmt::format(
      "({}) {}, {}\nscore {:.1f} ({:.1f} to {:.1f}), {}", m.number, short_line(m.policy), m.mode,
      100 * m.score.value, 100 * m.score.interval.low, 100 * m.score.interval.high, v.text(m.x));
  return fmt::format(
      "<g class=\"pt f-{} {}\" data-p=\"{}\"><title>{}</title><line class=\"bar\" x1=\"{:.1f}\" "
      "x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>{}</g>\n",
      family_of(m.policy), m.mode == "multi-turn" ? "open" : "on", m.number, escape(title), x, x,
      Axes::y(m.score.interval.low), Axes::y(m.score.interval.high),
      shape(family_of(m.policy), x, y));
}

std::string panel(const Report& report, const Column& column, const std::string& group,
                  const Version& v) {
  const std::vector<Mark> marks = marks_of(report, column, group, v.cost);
  if (marks.empty()) return "";
  const std::string title =
      fmt::format("{}, {} tokens", group.empty() ? "overall" : group, column.length);
  const Axes a = axes_of(marks);
  std::string out = fmt::format(
      "<figure class=\"chart\"><figcaption>{0}</figcaption>\n<svg viewBox=\"0 0 {1} {2}\" "
      "role=\"img\" aria-label=\"{0}: score and {3}\">\n",
      escape(title), kWidth, kHeight, v.label);
  out += grid(a, v);
  if (marks[0].policy == report.policies[0].policy) out += band(marks[0]);
  out += frontier(a, marks) + method_lines(a, marks);
  for (const Mark& m : marks) out += mark_at(a, m, v);
  return out + fmt::format(
                   "<text class=\"axis\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>"
                   "</svg></figure>\n",
                   (kLeft + kWidth - kRight) / 2, kHeight - 5, v.label);
}

}  // namespace

std::string capability_charts(const Report& report) {
  if (report.frontiers.empty()) return "";
  std::vector<Column> columns;
  std::vector<std::string> groups;
  for (const size_t length : lengths_of(report)) {
    Column& c = columns.emplace_back();
    c.length = length;
    for (const std::string& mode : modes_of(report)) {
      c.slices.push_back(slice_report(report, length, mode));
    }
  }
  for (const auto& [name, score] : report.policies[0].groups) groups.push_back(name);
  if (groups.size() == 1) groups.clear();  // the overall score is the same
  groups.insert(groups.begin(), "");
  std::string body;
  for (const Version& v : kVersions) {
    std::string panels;
    for (const std::string& group : groups) {
      std::string row;
      for (const Column& c : columns) row += panel(report, c, group, v);
      if (!row.empty()) panels += "<div class=\"charts small\">\n" + row + "</div>\n<p></p>\n";
    }
    if (panels.empty()) continue;
    body += fmt::format("<details class=\"version\"{}><summary>{}</summary>\n{}</details>\n",
                        body.empty() ? " open" : "", v.title, panels);
  }
  if (body.empty()) return "";
  return section(
      "capabilities", "By capability and length",
      "Score in percent upwards, measured cost to the right, doubling; a line joins a method's "
      "settings. Bars: 95 %. Filled: each question asked of the same text by itself; open: turns "
      "of "
      "a conversation. The band is (1) with its interval; the dashed steps join what nothing "
      "cheaper beats, as measured. Lengths at which costs were not timed are not shown.",
      body);
}

}  // namespace fathom::eval::html
