// Decoding behind texts of several lengths: a picture of lines, and the table of it; and what a
// text costs that is asked about several times.
#include <algorithm>
#include <cmath>

#include "eval/controls.h"
#include "eval/html/chart.h"
#include "eval/html/markup.h"
#include "eval/html/sections.h"

namespace fathom::eval::html {
namespace {

constexpr double kWidth = 860, kHeight = 330;
constexpr double kLeft = 52, kRight = 30, kTop = 12, kBottom = 44;

constexpr size_t kQuestions[] = {1, 5, 20, 100};  // over one text

// Depth to the right, logarithmic; tokens a second upwards, from 0.
struct Axes {
  double low = 1e9, high = -1e9;  // log2 of depths
  double most = 0;                // tokens a second

  double x(size_t depth) const {
    const double span = std::max(1.0, high - low);
    return kLeft + (std::log2(double(depth)) - low) / span * (kWidth - kLeft - kRight);
  }
  double y(double speed) const {
    return kHeight - kBottom - speed / most * (kHeight - kTop - kBottom);
  }
};

bool has_depths(const PolicyReport& p) { return p.measured && p.measured->depths.size() > 1; }

Axes axes_of(const Report& report) {
  Axes a;
  for (const PolicyReport& p : report.policies) {
    if (!has_depths(p)) continue;
    for (const DepthCost& d : p.measured->depths) {
      a.low = std::min(a.low, std::log2(double(d.depth)));
      a.high = std::max(a.high, std::log2(double(d.depth)));
      a.most = std::max(a.most, 1.05 / d.step_seconds);
    }
  }
  return a;
}

// 1, 2 or 5 times a power of 10, of which about five go into the most.
double tick_step(double most) {
  const double power = std::pow(10, std::floor(std::log10(most / 5)));
  for (const double m : {1.0, 2.0, 5.0}) {
    if (m * power * 6 >= most) return m * power;
  }
  return 10 * power;
}

std::string grid(const Axes& a, const std::vector<DepthCost>& depths) {
  std::string out;
  for (double v = 0; v <= a.most; v += tick_step(a.most)) {
    out += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text class=\"tick\" text-anchor=\"end\" x=\"{:.1f}\" y=\"{:.1f}\">{:.0f}</text>\n",
        kLeft, kWidth - kRight, a.y(v), a.y(v), kLeft - 7, a.y(v) + 4, v);
  }
  for (const DepthCost& d : depths) {
    out += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>"
        "<text class=\"tick\" text-anchor=\"middle\" x=\"{0:.1f}\" y=\"{3}\">{4}</text>\n",
        a.x(d.depth), kTop, kHeight - kBottom, kHeight - kBottom + 16, d.depth);
  }
  return out;
}

std::string line(const Axes& a, const Report& report, size_t policy, bool labelled) {
  const PolicyReport& p = report.policies[policy];
  std::string path, title = fmt::format("({}) {}", policy + 1, short_line(p.policy));
  for (const DepthCost& d : p.measured->depths) {
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", a.x(d.depth),
                        a.y(1 / d.step_seconds));
    title += fmt::format("\nbehind {}: {:.0f} tokens a second", d.depth, 1 / d.step_seconds);
  }
  const DepthCost& last = p.measured->depths.back();
  std::string out = fmt::format(
      "<g class=\"pt f-{} on\" data-p=\"{}\"><title>{}</title><path class=\"run\" d=\"{}\"/>"
      "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.2\"/>",
      family_of(p.policy), policy + 1, escape(title), path, a.x(last.depth),
      a.y(1 / last.step_seconds));
  if (labelled) {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", a.x(last.depth) + 7,
                       a.y(1 / last.step_seconds) + 4, policy + 1);
  }
  return out + "</g>\n";
}

std::string picture(const Report& report, const std::vector<DepthCost>& depths) {
  const Axes a = axes_of(report);
  std::string out = fmt::format(
      "<div class=\"charts\"><figure class=\"chart wide\"><figcaption>Decoded tokens a second"
      "</figcaption>\n<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Decoding by depth\">\n",
      kWidth, kHeight);
  out += grid(a, depths);
  out += fmt::format(
      "<text class=\"axis\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">tokens in the cache's "
      "text</text>\n",
      (kLeft + kWidth - kRight) / 2, kHeight - 8);
  std::vector<double> labels;  // their y; a number that would lie on another says nothing
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const PolicyReport& p = report.policies[i];
    if (!has_depths(p)) continue;
    const double y = a.y(1 / p.measured->depths.back().step_seconds);
    const bool free =
        std::none_of(labels.begin(), labels.end(), [&](double l) { return std::abs(l - y) < 11; });
    if (free) labels.push_back(y);
    out += line(a, report, i, free);
  }
  return out + "</svg></figure></div>\n";
}

std::string rows(const Report& report, const std::vector<DepthCost>& depths) {
  std::string out;
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const PolicyReport& p = report.policies[i];
    if (!has_depths(p)) continue;
    out += fmt::format("<tr data-p=\"{}\">{}", i + 1, policy_cell(report, i));
    for (const DepthCost& at : depths) {
      const auto& own = p.measured->depths;
      const auto d = std::find_if(own.begin(), own.end(),
                                  [&](const DepthCost& o) { return o.depth == at.depth; });
      out += d == own.end()
                 ? empty_cell()
                 : cell(fmt::format("{:.0f} <small>{}</small>", 1 / d->step_seconds,
                                    d->moved_bytes > 0 ? bytes(double(d->moved_bytes)) : ""),
                        1 / d->step_seconds);
    }
    out += "</tr>\n";
  }
  return out;
}

std::string question_row(const Report& report, size_t i) {
  const CostSummary &first = *report.policies[0].measured, &c = *report.policies[i].measured;
  std::string out = fmt::format("<tr data-p=\"{}\">{}", i + 1, policy_cell(report, i));
  out += cell(seconds(c.question_seconds()), c.question_seconds());
  for (const size_t n : kQuestions) {
    const double own = c.amortised_seconds(n);
    out += cell(
        fmt::format("{} <small>{:.2f}×</small>", seconds(own), own / first.amortised_seconds(n)),
        own);
  }
  const auto even = break_even(first, c);
  out += i == 0 ? empty_cell() : cell(break_even_text(first, c), even.value_or(1e9));
  for (const size_t sequences : kBatches) {
    const auto b = std::find_if(c.batches.begin(), c.batches.end(),
                                [&](const BatchCost& o) { return o.sequences == sequences; });
    const double speed = b == c.batches.end() ? 0 : double(sequences) / b->step_seconds;
    out += b == c.batches.end() ? empty_cell() : cell(fmt::format("{:.0f}", speed), speed);
  }
  return out + "</tr>\n";
}

}  // namespace

std::string question_table(const Report& report) {
  if (report.policies.empty() || !report.policies[0].measured) return "";
  std::string rows;
  for (size_t i = 0; i < report.policies.size(); ++i) {
    if (report.policies[i].measured) rows += question_row(report, i);
  }
  std::vector<Head> heads = {
      {"policy", "", false},
      {"a question", "read behind the cached text, and 64 tokens of answer"}};
  std::vector<std::string> names;
  for (const size_t n : kQuestions) {
    names.push_back(n == 1 ? "of 1" : fmt::format("of {}", n));
  }
  for (const std::string& n : names) {
    heads.push_back({n.c_str(), "seconds a question, with its share of reading the text"});
  }
  heads.push_back({"break-even", "questions from which it has cost less time than (1)"});
  heads.push_back({"4 together", "tokens a second of 4 forks of the text in one step"});
  heads.push_back({"16 together", "of 16"});
  return section("questions", "A text that is asked about several times",
                 fmt::format("Times at {} tokens. A policy that takes longer to read and less to "
                             "answer pays from so many questions on (break-even).",
                             report.policies[0].measured->length),
                 table(heads, rows));
}

std::string depth_tables(const Report& report) {
  if (report.policies.empty() || !has_depths(report.policies[0])) return "";
  const std::vector<DepthCost>& depths = report.policies[0].measured->depths;
  std::vector<Head> heads = {{"policy", "", false}};
  std::vector<std::string> names;
  for (const DepthCost& d : depths) names.push_back(fmt::format("behind {}", d.depth));
  for (const std::string& n : names) {
    heads.push_back({n.c_str(), "tokens a second, and bytes of the cache that a token moves"});
  }
  return section("depths", "Decoding, by depth",
                 "Tokens a second behind texts of several lengths, each read by itself; medians. "
                 "Small: bytes of the cache that a token moves, counted where pages are read; "
                 "weights come on top.",
                 picture(report, depths) + "<p></p>\n" + table(heads, rows(report, depths)));
}

}  // namespace fathom::eval::html
