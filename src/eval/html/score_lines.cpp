// Scores as lines: turn by turn, and by the depth of what an answer needs.
#include <algorithm>
#include <cmath>

#include "eval/controls.h"
#include "eval/html/chart.h"
#include "eval/html/markup.h"
#include "eval/html/sections.h"

namespace fathom::eval::html {
namespace {

constexpr double kWidth = 860, kHeight = 300;
constexpr double kLeft = 40, kRight = 30, kTop = 12, kBottom = 44;
constexpr size_t kBins = 10;  // of depths

// Scores of one policy at places 0, 1, ... of the axis; nothing where nobody asked.
struct Line {
  size_t number = 0;
  std::string policy;
  std::vector<std::optional<double>> scores;
};

struct Picture {
  std::string title, x_label;
  std::vector<std::string> ticks;  // of the places
  std::vector<Line> lines;

  double x(size_t place) const {
    const double steps = std::max<double>(1, double(ticks.size()) - 1);
    return kLeft + 14 + double(place) / steps * (kWidth - kLeft - kRight - 28);
  }
  static double y(double share) { return kHeight - kBottom - share * (kHeight - kTop - kBottom); }
};

std::string grid(const Picture& p) {
  std::string out;
  for (int score = 0; score <= 100; score += 20) {
    const double y = Picture::y(score / 100.0);
    out += fmt::format(
        "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/><text "
        "class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{:.1f}\">{}</text>\n",
        kLeft, kWidth - kRight, y, y, kLeft - 7, y + 4, score);
  }
  for (size_t i = 0; i < p.ticks.size(); ++i) {
    out +=
        fmt::format("<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{}\">{}</text>\n",
                    p.x(i), kHeight - kBottom + 16, escape(p.ticks[i]));
  }
  return out;
}

std::string line(const Picture& p, const Line& l, bool labelled) {
  std::string path, shapes, title = fmt::format("({}) {}", l.number, short_line(l.policy));
  bool joined = false;
  double last_x = 0, last_y = 0;
  for (size_t i = 0; i < l.scores.size(); ++i) {
    if (!l.scores[i]) {
      joined = false;
      continue;
    }
    last_x = p.x(i);
    last_y = Picture::y(*l.scores[i]);
    path += fmt::format("{}{:.1f} {:.1f}", joined ? "L" : "M", last_x, last_y);
    shapes += shape(family_of(l.policy), last_x, last_y);
    title += fmt::format("\n{}: {:.1f}", p.ticks[i], 100 * *l.scores[i]);
    joined = true;
  }
  std::string out = fmt::format(
      "<g class=\"pt f-{} on\" data-p=\"{}\"><title>{}</title><path class=\"run\" d=\"{}\"/>{}",
      family_of(l.policy), l.number, escape(title), path, shapes);
  if (labelled) {
    out +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", last_x + 9, last_y + 4, l.number);
  }
  return out + "</g>\n";
}

std::string picture(const Picture& p) {
  std::string out = fmt::format(
      "<div class=\"charts\"><figure class=\"chart wide\"><figcaption>{0}</figcaption>\n<svg "
      "viewBox=\"0 0 {1} {2}\" role=\"img\" aria-label=\"{0}\">\n",
      escape(p.title), kWidth, kHeight);
  out += grid(p);
  std::vector<double> labels;  // their y; a number that would lie on another says nothing
  for (const Line& l : p.lines) {
    const double y = Picture::y(l.scores.back().value_or(0));
    const bool free = l.scores.back() && std::none_of(labels.begin(), labels.end(), [&](double o) {
                        return std::abs(o - y) < 11;
                      });
    if (free) labels.push_back(y);
    out += line(p, l, free);
  }
  return out + fmt::format(
                   "<text class=\"axis\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n"
                   "</svg></figure></div>\n",
                   (kLeft + kWidth - kRight) / 2, kHeight - 8, escape(p.x_label));
}

struct Sum {
  double sum = 0, n = 0;

  void add(double v) { sum += v, ++n; }
  std::optional<double> mean() const { return n > 0 ? std::optional(sum / n) : std::nullopt; }
};

std::vector<std::optional<double>> means(const std::vector<Sum>& sums) {
  std::vector<std::optional<double>> out;
  for (const Sum& s : sums) out.push_back(s.mean());
  return out;
}

}  // namespace

std::string turn_picture(const Report& report) {
  Picture p{"Score by turn, %", "turn of the conversation", {}, {}};
  size_t turns = 0;
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const PolicyReport& policy = report.policies[i];
    if (policy.mode != "multi-turn") continue;
    std::vector<Sum> sums;
    for (const Cell& c : policy.cells) {
      if (c.measure != Measure::kAnswer || c.summary.by_turn.size() < 2) continue;
      sums.resize(std::max(sums.size(), c.summary.by_turn.size()));
      for (size_t t = 0; t < c.summary.by_turn.size(); ++t) sums[t].add(c.summary.by_turn[t]);
    }
    if (sums.empty()) continue;
    turns = std::max(turns, sums.size());
    p.lines.push_back({i + 1, policy.policy, means(sums)});
  }
  if (p.lines.empty()) return "";
  for (Line& l : p.lines) l.scores.resize(turns);
  for (size_t t = 1; t <= turns; ++t) p.ticks.push_back(std::to_string(t));
  return section("turn-lines", "Turn by turn, as lines",
                 "Means of the tasks that count and have turns. A policy that keeps what the first "
                 "question needs falls behind it.",
                 picture(p));
}

std::string depth_scores(const Report& report) {
  Picture p{"Score by depth, %", "depth of what the answer needs, % of the text", {}, {}};
  for (size_t b = 0; b < kBins; ++b) p.ticks.push_back(fmt::format("{}–{}", 10 * b, 10 * (b + 1)));
  for (size_t i = 0; i < report.policies.size(); ++i) {
    std::vector<Sum> sums(kBins);
    bool any = false;
    for (const Cell& c : report.policies[i].cells) {
      if (c.measure == Measure::kNone) continue;
      for (const auto& [depth, score] : c.by_depth) {
        sums[std::min(kBins - 1, static_cast<size_t>(depth * double(kBins)))].add(score);
        any = true;
      }
    }
    if (any) p.lines.push_back({i + 1, report.policies[i].policy, means(sums)});
  }
  if (p.lines.empty()) return "";
  return section("depth-lines", "Where facts are found, as lines",
                 "Over all lengths and all tasks that hide facts and that count, in tenths of the "
                 "text. Rest the pointer on a line for its policy.",
                 picture(p));
}

}  // namespace fathom::eval::html
