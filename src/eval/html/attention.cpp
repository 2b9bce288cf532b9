// What attention gives over what a policy reads: by kv head, a map a policy, and a table of all.
#include <algorithm>

#include "eval/controls.h"
#include "eval/html/chart.h"
#include "eval/html/markup.h"
#include "eval/html/sections.h"

namespace fathom::eval::html {
namespace {

constexpr double kLabel = 26, kBox = 24, kRow = 18, kHead = 14;

std::string title_of(const HeadLoss& h) {
  return fmt::format(
      "layer {}, kv head {}: output error {:.1f} % (95 % of queries: {:.1f} %), ln-sum-exp "
      "{:+.3f}, "
      "mass {:.1f} %",
      h.layer, h.kv_head, 100 * h.loss.error_median, 100 * h.loss.error_p95, h.loss.lse_gap,
      100 * h.loss.mass);
}

std::string box(const HeadLoss& h, double x, double y) {
  const double shade = std::clamp(h.loss.error_median, 0.0, 1.0);
  return fmt::format(
      "<g><title>{}</title><rect class=\"h0\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" "
      "height=\"{}\"/><rect class=\"h1\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" "
      "fill-opacity=\"{:.2f}\"/><text class=\"in {}\" x=\"{:.1f}\" y=\"{:.1f}\">{:.0f}</text></g>",
      title_of(h), x, y, kBox - 1.5, kRow - 1.5, x, y, kBox - 1.5, kRow - 1.5, 0.9 * shade,
      shade > 0.55 ? "on" : "", x + kBox / 2 - 0.7, y + kRow / 2 + 2.6, 100 * h.loss.error_median);
}

// Layers downwards, kv heads to the right; layers that were not looked at have no row.
std::string picture(const std::vector<HeadLoss>& heads) {
  std::vector<size_t> layers;
  size_t columns = 0;
  for (const HeadLoss& h : heads) {
    if (layers.empty() || layers.back() != h.layer) layers.push_back(h.layer);
    columns = std::max(columns, h.kv_head + 1);
  }
  std::string out = fmt::format(
      "<svg viewBox=\"0 0 {} {}\" style=\"max-width:{}px\" role=\"img\" aria-label=\"output error "
      "by layer and kv head\">\n<text x=\"{}\" y=\"10\">kv heads</text>",
      std::max(kLabel + kBox * double(columns), 90.0), kHead + kRow * double(layers.size()),
      std::max(2 * (kLabel + kBox * double(columns)), 180.0), kLabel);
  for (size_t i = 0; i < layers.size(); ++i) {
    out += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", kLabel - 5,
                       kHead + kRow * double(i) + kRow / 2 + 3.5, layers[i]);
  }
  for (const HeadLoss& h : heads) {
    const auto row = std::find(layers.begin(), layers.end(), h.layer) - layers.begin();
    out += box(h, kLabel + kBox * double(h.kv_head), kHead + kRow * double(row));
  }
  return out + "</svg>";
}

// While decoding, of the longest length: one map a policy and text.
std::string maps(const Report& report) {
  size_t longest = 0;
  for (const ProseLine& l : report.prose) longest = std::max(longest, l.length);
  std::string out;
  for (const ProseLine& l : report.prose) {
    if (l.result.heads.empty() || l.length != longest || l.positions != "decode") continue;
    out += fmt::format(
        "<div class=\"map\"><div class=\"row\">{}<span class=\"name\">{}</span></div>{}</div>\n",
        mark(family_of(l.policy)), escape_line(short_line(l.policy)), picture(l.result.heads));
  }
  return out.empty() ? "" : "<div class=\"maps\">\n" + out + "</div>\n<p></p>\n";
}

std::string row(const ProseLine& l) {
  const AttentionLoss& a = *l.result.attention;
  const auto& heads = l.result.heads;
  std::string out =
      fmt::format("<tr><td class=\"first\"><span class=\"name\" title=\"{}\">{}</span></td>",
                  escape(l.policy), escape_line(short_line(l.policy))) +
      text_cell(l.positions) + text_cell(l.text) +
      cell(std::to_string(l.length), double(l.length)) + cell(percent(a.mass), a.mass) +
      cell(percent(a.error_median), a.error_median) + cell(percent(a.error_p95), a.error_p95) +
      cell(fmt::format("{:+.4f}", a.lse_gap), a.lse_gap);
  const auto worst =
      std::max_element(heads.begin(), heads.end(), [](const HeadLoss& x, const HeadLoss& y) {
        return x.loss.error_median < y.loss.error_median;
      });
  out += worst == heads.end()
             ? empty_cell()
             : cell(fmt::format("{} <small>layer {}, kv head {}</small>",
                                percent(worst->loss.error_median), worst->layer, worst->kv_head),
                    worst->loss.error_median);
  return out + "</tr>\n";
}

}  // namespace

std::string attention_section(const Report& report) {
  std::string rows;
  for (const ProseLine& l : report.prose) {
    if (l.result.attention) rows += row(l);
  }
  if (rows.empty()) return "";
  return section(
      "attention", "Attention",
      "What attention gives the queries of the run that all are compared with, over what a policy "
      "reads and holds, beside what it gives them over everything: isolated errors, each layer's "
      "own. The policy chose with its own queries, and holds what its own run wrote. Maps: the "
      "median of |o' - o| / |o| in percent while decoding, by layer and kv head.",
      maps(report) +
          table({{"policy", "", false},
                 {"positions", "", false},
                 {"text", "", false},
                 {"tokens"},
                 {"mass, %", "of the weights on the tokens that are read, mean over heads"},
                 {"output error, %", "|o' - o| / |o|: median over heads, steps and query heads"},
                 {"95 %", "of the queries are below"},
                 {"ln-sum-exp", "difference, mean: 0 where nothing is missed"},
                 {"worst kv head, %", "the highest median"}},
                rows));
}

}  // namespace fathom::eval::html
