// Where in the text facts are found: depth to the right, length downwards, one map a policy.
#include <algorithm>
#include <array>
#include <map>

#include "eval/controls.h"
#include "eval/html/chart.h"
#include "eval/html/markup.h"
#include "eval/html/sections.h"
#include "eval/needle_grid.h"

namespace fathom::eval::html {
namespace {

constexpr size_t kBins = 11;  // the nearest of 0, 10, ..., 100 %

struct Bin {
  double sum = 0;
  size_t n = 0;
};
using Map = std::map<size_t, std::array<Bin, kBins>>;  // by length

Map map_of(const PolicyReport& p) {
  Map out;
  for (const Cell& c : p.cells) {
    if (c.measure == Measure::kNone) continue;
    for (const auto& [depth, score] : c.by_depth) {
      Bin& bin = out[c.length][nearest_tenth(depth)];
      bin.sum += score;
      ++bin.n;
    }
  }
  return out;
}

constexpr double kLabel = 40, kBox = 22, kRow = 20, kFoot = 14;

std::string row_of(size_t length, const std::array<Bin, kBins>& bins, double y) {
  std::string out = fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
                                kLabel - 5, y + kRow / 2 + 3.5, length);
  for (size_t i = 0; i < kBins; ++i) {
    const double x = kLabel + kBox * double(i);
    const double share = bins[i].n > 0 ? bins[i].sum / double(bins[i].n) : 0;
    const std::string place = fmt::format("{} tokens, depth near {} %", length, 10 * i);
    out += fmt::format(
        "<g><title>{}: {}</title>"
        "<rect class=\"h0\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\"/>",
        place, bins[i].n > 0 ? fmt::format("{:.0f} % of {}", 100 * share, bins[i].n) : "not asked",
        x, y, kBox - 1.5, kRow - 1.5);
    if (bins[i].n > 0) {
      out += fmt::format(
          "<rect class=\"h1\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" "
          "fill-opacity=\"{:.2f}\"/>"
          "<text class=\"in {}\" x=\"{:.1f}\" y=\"{:.1f}\">{:.0f}</text>",
          x, y, kBox - 1.5, kRow - 1.5, 0.06 + 0.9 * share, share > 0.55 ? "on" : "",
          x + kBox / 2 - 0.7, y + kRow / 2 + 2.6, 100 * share);
    }
    out += "</g>";
  }
  return out + "\n";
}

std::string map_picture(const Map& map) {
  const double height = kRow * double(map.size()) + kFoot;
  std::string out = fmt::format(
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"score by "
      "depth and length\">\n",
      kLabel + kBox * kBins, height);
  double y = 0;
  for (const auto& [length, bins] : map) {
    out += row_of(length, bins, y);
    y += kRow;
  }
  out += fmt::format(
      "<text x=\"{}\" y=\"{:.1f}\">beginning</text>"
      "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">end of the text</text>",
      kLabel, y + 10, kLabel + kBox * kBins, y + 10);
  return out + "</svg>";
}

}  // namespace

std::string needle_maps(const Report& report) {
  std::string out;
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const PolicyReport& p = report.policies[i];
    const Map map = map_of(p);
    if (map.empty()) continue;
    out += fmt::format(
        "<div class=\"map\"><div class=\"row\">{}<span class=\"name\">{} {}</span>"
        "</div>{}</div>\n",
        mark(family_of(p.policy)), i + 1, escape_line(short_line(p.policy)), map_picture(map));
  }
  if (out.empty()) return "";
  return section("needles", "Where facts are found",
                 "Depth of the fact in the text to the right, length of the text in tokens "
                 "downwards; share of right answers in percent, over all tasks that hide facts and "
                 "that count. Each box stands for the depths near 0, 10, ..., 100 %; how many "
                 "questions it holds shows under the pointer.",
                 "<div class=\"maps\">\n" + out + "</div>\n");
}

}  // namespace fathom::eval::html
