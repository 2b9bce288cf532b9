#include "eval/html/chart.h"

#include <algorithm>
#include <cmath>

#include "eval/html/markup.h"

namespace fathom::eval::html {
namespace {

constexpr double kWidth = 420, kHeight = 330;
constexpr double kLeft = 40, kRight = 14, kTop = 12, kBottom = 44;

struct Axes {
  double x_low, x_high;  // log2
  double y_low, y_high;

  double x(double v) const {
    return kLeft + (std::log2(v) - x_low) / (x_high - x_low) * (kWidth - kLeft - kRight);
  }
  double y(double v) const {
    return kHeight - kBottom - (v - y_low) / (y_high - y_low) * (kHeight - kTop - kBottom);
  }
};

Axes axes_of(const std::vector<Point>& points) {
  Axes a{1e9, -1e9, 1, 0};
  for (const Point& p : points) {
    a.x_low = std::min(a.x_low, std::log2(p.x));
    a.x_high = std::max(a.x_high, std::log2(p.x));
    a.y_low = std::min(a.y_low, p.low);
    a.y_high = std::max(a.y_high, p.high);
  }
  const double room = std::max(0.15, 0.06 * (a.x_high - a.x_low));
  a.x_low -= room;
  a.x_high += room;
  a.y_low = std::max(0.0, std::floor(a.y_low * 10) / 10);
  a.y_high = std::min(1.0, std::ceil(a.y_high * 10) / 10);
  if (a.y_high - a.y_low < 0.1) a.y_low = a.y_high - 0.1;
  return a;
}

std::string y_grid(const Axes& a) {
  std::string out;
  const double step = a.y_high - a.y_low > 0.5 ? 0.2 : 0.1;
  for (double v = std::ceil(a.y_low / step - 1e-9) * step; v <= a.y_high + 1e-9; v += step) {
    out += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text class=\"tick\" text-anchor=\"end\" x=\"{:.1f}\" y=\"{:.1f}\">{:.0f}</text>\n",
        kLeft, kWidth - kRight, a.y(v), a.y(v), kLeft - 7, a.y(v) + 4, std::max(0.0, 100 * v));
  }
  return out;
}

std::vector<double> ticks(const Axes& a, bool binary) {
  std::vector<double> out;
  const double span = a.x_high - a.x_low;
  if (binary) {
    const double step = span > 8 ? 2 : 1;
    for (double e = std::ceil(a.x_low / step) * step; e <= a.x_high; e += step) {
      out.push_back(std::exp2(e));
    }
    return out;
  }
  const std::vector<double> few = {1, 10}, some = {1, 2, 5}, many = {1, 1.5, 2, 3, 4, 5, 6, 8};
  for (double power = std::pow(10, std::floor(a.x_low * std::log10(2.0)));
       std::log2(power) <= a.x_high; power *= 10) {
    for (const double m : span > 8 ? few : span > 2.2 ? some : many) {
      const double v = m * power;
      if (m < 10 && std::log2(v) >= a.x_low && std::log2(v) <= a.x_high) out.push_back(v);
    }
  }
  return out;
}

constexpr double kTickRoom = 48;  // that the text of a tick takes

std::string x_grid(const Axes& a, const Chart& c) {
  std::string out;
  double last = -kTickRoom;  // text
  for (const double v : ticks(a, c.binary)) {
    out += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>",
                       a.x(v), kTop, kHeight - kBottom);
    if (a.x(v) - last < kTickRoom) continue;
    last = a.x(v);
    out +=
        fmt::format("<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{}\">{}</text>\n",
                    a.x(v), kHeight - kBottom + 16, escape(c.x_text(v)));
  }
  return out;
}

std::string step_line(const Axes& a, const std::vector<Point>& points) {
  std::vector<const Point*> on;
  for (const Point& p : points) {
    if (p.on_frontier) on.push_back(&p);
  }
  std::sort(on.begin(), on.end(), [](const Point* p, const Point* q) { return p->x < q->x; });
  std::string path;
  double best = -1;
  for (const Point* p : on) {
    if (p->y <= best) continue;
    path += path.empty() ? fmt::format("M{:.1f} {:.1f}", a.x(p->x), kHeight - kBottom)
                         : fmt::format("H{:.1f}", a.x(p->x));
    path += fmt::format("V{:.1f}", a.y(p->y));
    best = p->y;
  }
  if (path.empty()) return "";
  return fmt::format("<path class=\"frontier\" d=\"{}H{:.1f}\"/>\n", path, kWidth - kRight);
}

std::string point(const Axes& a, const Point& p, bool labelled) {
  const double x = a.x(p.x), y = a.y(p.y);
  std::string out = fmt::format("<g class=\"pt f-{} {}\" data-p=\"{}\"><title>{}</title>", p.family,
                                p.on_frontier ? "on" : "off", p.number, escape(p.title));
  out += fmt::format(
      "<line class=\"bar\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>", x,
      a.y(std::max(a.y_low, p.low)), a.y(std::min(a.y_high, p.high)));
  out += shape(p.family, x, y);
  if (labelled) {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", x + 7, y - 7, p.number);
  }
  return out + "</g>\n";
}

}  // namespace

std::string shape(const std::string& family, double x, double y) {
  const auto at = [&](double dx, double dy) {
    return fmt::format("{:.1f},{:.1f}", x + dx, y + dy);
  };
  const auto polygon = [](const std::string& points) {
    return fmt::format("<polygon points=\"{}\"/>", points);
  };
  if (family == "keep") return polygon(at(0, -6.2) + " " + at(5.6, 4.2) + " " + at(-5.6, 4.2));
  if (family == "fetch") return polygon(at(0, 6.2) + " " + at(5.6, -4.2) + " " + at(-5.6, -4.2));
  if (family == "store" || family == "dense") {
    return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"9\" height=\"9\"/>", x - 4.5,
                       y - 4.5);
  }
  if (family == "prefill") {
    return polygon(at(0, -6.4) + " " + at(6.4, 0) + " " + at(0, 6.4) + " " + at(-6.4, 0));
  }
  return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.8\"/>", x, y);
}

std::string chart(const Chart& c) {
  if (c.points.empty()) return "";
  const Axes a = axes_of(c.points);
  std::string out = fmt::format(
      "<figure class=\"chart\"><figcaption>{}</figcaption>\n"
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
      escape(c.title), kWidth, kHeight, escape(c.title));
  out += y_grid(a) + x_grid(a, c) + step_line(a, c.points);
  out +=
      fmt::format("<text class=\"axis\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                  (kLeft + kWidth - kRight) / 2, kHeight - 8, escape(c.x_label));
  std::vector<std::pair<double, double>> labels;
  for (const bool on : {false, true}) {
    for (const Point& p : c.points) {
      if (p.on_frontier != on) continue;
      // A number that would lie on another says nothing.
      const double x = a.x(p.x), y = a.y(p.y);
      const bool free = std::none_of(labels.begin(), labels.end(), [&](const auto& l) {
        return std::abs(l.first - x) < 15 && std::abs(l.second - y) < 12;
      });
      if (on && free) labels.emplace_back(x, y);
      out += point(a, p, on && free);
    }
  }
  return out + "</svg></figure>\n";
}

std::string mark(const std::string& family) {
  return fmt::format(
      "<svg class=\"mark\" viewBox=\"0 0 16 16\" aria-hidden=\"true\"><g class=\"pt "
      "f-{} on\">{}</g></svg>",
      family, shape(family, 8, 8));
}

}  // namespace fathom::eval::html
