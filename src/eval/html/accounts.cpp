// What each policy stood on: four strips a policy, a cell a range of positions, whose strength is
// the share.
#include <algorithm>

#include "base/error.h"
#include "eval/controls.h"
#include "eval/html/chart.h"
#include "eval/html/markup.h"
#include "eval/html/sections.h"

namespace fathom::eval::html {
namespace {

using Shares = AccountLine::Shares;

constexpr double kLabel = 62, kWidth = 220, kRow = 14, kFoot = 14;

struct Strip {
  const char* name;
  double Shares::*share;
};
constexpr Strip kStrips[] = {{"computed", &Shares::prefill},
                             {"kept", &Shares::kept},
                             {"stored", &Shares::stored},
                             {"fetched", &Shares::fetched}};

std::string strip(const AccountLine& line, const Strip& strip, double y) {
  std::string out = fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
                                kLabel - 5, y + 10, strip.name);
  const double cell = kWidth / double(line.ranges.size());
  for (size_t i = 0; i < line.ranges.size(); ++i) {
    const Shares& range = line.ranges[i];
    const double share = range.*strip.share;
    const std::string place =
        fmt::format("x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{}\"",
                    kLabel + cell * double(i), y, std::max(0.5, cell - 0.5), kRow - 2);
    out += fmt::format(
        "<g><title>tokens {} to {}: {:.1f} % {}</title><rect class=\"h0\" {}/>"
        "<rect class=\"h1\" {} fill-opacity=\"{:.2f}\"/></g>",
        range.first, range.end, 100 * share, strip.name, place, place, 0.95 * share);
  }
  return out + fmt::format("<text x=\"{}\" y=\"{:.1f}\">{:.0f} %</text>\n", kLabel + kWidth + 4,
                           y + 10, 100 * (line.total.*strip.share));
}

std::string picture(const AccountLine& line) {
  const double height = kRow * 4 + kFoot;
  std::string out =
      fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"shares by position\">\n",
                  kLabel + kWidth + 38, height);
  double y = 0;
  for (const Strip& s : kStrips) {
    out += strip(line, s, y);
    y += kRow;
  }
  out += fmt::format(
      "<text x=\"{}\" y=\"{:.1f}\">beginning</text>"
      "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">end of the text</text>",
      kLabel, y + 10, kLabel + kWidth, y + 10);
  return out + "</svg>";
}

}  // namespace

std::string account_pictures(const Report& report) {
  std::string out;
  for (const AccountLine& l : report.accounts) {
    if (l.ranges.empty()) continue;
    out += fmt::format(
        "<div class=\"map\"><div class=\"row\">{}<span class=\"name\">{}: "
        "{}</span></div>{}</div>\n",
        mark(family_of(l.policy)), escape_line(short_line(l.policy)), escape(l.codecs), picture(l));
  }
  if (out.empty()) return "";
  return section(
      "accounts", "What each policy stood on",
      "By position in one text, all layers and heads together. Computed: the attention of reading "
      "it, "
      "by keys. Kept: tokens still in the cache at the end. Stored: their bytes, of what all "
      "tokens "
      "would take in full precision. Fetched: of the kept keys, those that decoded tokens read.",
      "<div class=\"maps\">\n" + out + "</div>\n");
}

}  // namespace fathom::eval::html
