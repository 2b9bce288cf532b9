// The page of `fathom profile`. One hue whose strength is the number: it reads the same in light
// and dark, and to any kind of colour vision; every cell says its number when pointed at.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/profile.h"
#include "eval/html/markup.h"

namespace fathom::cli {
namespace {

using eval::html::escape;

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--dim:#6a737d;--cell:#0b5cad;--line:#d0d7de;--other:#c2570c}
@media(prefers-color-scheme:dark){:root{--paper:#14181d;--ink:#e6e9ed;--dim:#98a2ae;--cell:#6cb6ff;--line:#343b44;--other:#ffab70}}
body{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
svg text{fill:var(--dim);font:11px system-ui,sans-serif}
svg{max-width:100%;height:auto}
.c{fill:var(--cell)}.o{fill:var(--other)}.f{fill:none;stroke:var(--line)}
.l{fill:none;stroke:var(--cell);stroke-width:1;stroke-opacity:.45}.m{fill:none;stroke:var(--other);stroke-width:2}
table{border-collapse:collapse}td,th{padding:.15rem .7rem;text-align:right;border-bottom:1px solid var(--line)}
td:first-child,th:first-child{text-align:left;font-family:ui-monospace,monospace}
p,figcaption{color:var(--dim)}figure{margin:1rem 0;display:inline-block;vertical-align:top;margin-right:2rem}
)";

// A matrix of layers by heads.
std::string measure_figure(const ProfileReport& report, const HeadMeasure& measure) {
  const size_t heads = report.layers[0].profile.heads.size();
  const size_t cell = heads > 40 ? 10 : 16, left = 54;
  std::string svg;
  for (size_t row = 0; row < report.layers.size(); ++row) {
    const eval::LayerProfile& layer = report.layers[row].profile;
    svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">layer {}</text>", left - 6,
                       row * cell + cell - 4, layer.layer);
    for (size_t h = 0; h < heads; ++h) {
      const double value = measure.value(layer.heads[h]);
      svg += fmt::format(
          "<rect class=\"c\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" "
          "fill-opacity=\"{:.3f}\"><title>layer {} head {}: {:.3f}</title></rect>",
          left + h * cell, row * cell, cell - 1, cell - 1, std::clamp(value, 0.02, 1.0),
          layer.layer, h, value);
    }
  }
  const size_t width = left + heads * cell, height = report.layers.size() * cell + 16;
  svg += fmt::format("<text x=\"{}\" y=\"{}\">heads 0 to {}</text>", left, height - 3, heads - 1);
  return fmt::format(
      "<figure><figcaption><b>{}</b>: {}</figcaption><svg role=\"img\" aria-label=\"{}\" "
      "viewBox=\"0 0 {} {}\" width=\"{}\">{}</svg></figure>\n",
      measure.name, escape(measure.meaning), measure.name, width, height, width, svg);
}

// Attention by distance: a line a head, and their mean.
std::string distance_figure(const eval::LayerProfile& layer) {
  const size_t bins = layer.heads[0].distance.size();
  const double width = 420, height = 120, left = 34, step = (width - left) / double(bins);
  const auto line = [&](const std::vector<double>& y, const char* style, const std::string& title) {
    std::string points;
    for (size_t i = 0; i < bins; ++i) {
      points += fmt::format("{:.1f},{:.1f} ", left + step * (double(i) + 0.5), height * (1 - y[i]));
    }
    return fmt::format("<polyline class=\"{}\" points=\"{}\"><title>{}</title></polyline>", style,
                       points, title);
  };
  std::string svg = fmt::format("<rect class=\"f\" x=\"{}\" y=\"0\" width=\"{}\" height=\"{}\"/>",
                                left, width - left, height);
  std::vector<double> mean(bins);
  for (size_t h = 0; h < layer.heads.size(); ++h) {
    const std::vector<double>& y = layer.heads[h].distance;
    for (size_t i = 0; i < bins; ++i) mean[i] += y[i] / double(layer.heads.size());
    svg += line(y, "l", fmt::format("head {}", h));
  }
  svg += line(mean, "m", "mean of the heads");
  for (size_t i = 0; i < bins; i += 2) {
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                       left + step * (double(i) + 0.5), height + 14,
                       i == 0 ? 0 : size_t{1} << (i - 1));
  }
  svg += fmt::format(
      "<text x=\"{0}\" y=\"10\" text-anchor=\"end\">1</text><text x=\"{0}\" "
      "y=\"{1}\" text-anchor=\"end\">0</text>",
      left - 4, height);
  return fmt::format(
      "<figure><figcaption>share of attention by distance (from 0, 1, 2, 4, ... tokens on)"
      "</figcaption><svg role=\"img\" aria-label=\"attention by distance\" viewBox=\"0 0 {0} {1}\" "
      "width=\"{0}\">{2}</svg></figure>\n",
      width, height + 20, svg);
}

// Two rows a policy: where the attention is, and what was read. Strength is relative to the page
// with most attention, on a root scale so that thin shares show.
std::string page_figure(const eval::PolicyRecall& p) {
  const size_t pages = p.page_mass.size();
  const double width = 900, step = width / double(pages), row = 14;
  const double most = *std::max_element(p.page_mass.begin(), p.page_mass.end());
  std::string svg;
  for (size_t i = 0; i < pages; ++i) {
    const auto cell = [&](const char* style, double y, double strength, double value,
                          const char* what) {
      svg += fmt::format(
          "<rect class=\"{}\" x=\"{:.2f}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\" "
          "fill-opacity=\"{:.3f}\"><title>tokens {} to {}: {:.2f}% {}</title></rect>",
          style, double(i) * step, y, std::max(0.5, step - 0.5), row,
          std::clamp(strength, 0.0, 1.0), i * kv::kPieceTokens, (i + 1) * kv::kPieceTokens - 1,
          100 * value, what);
    };
    cell("c", 0, most > 0 ? std::sqrt(p.page_mass[i] / most) : 0, p.page_mass[i],
         "of the attention");
    cell("o", row + 2, p.page_read[i], p.page_read[i], "read");
  }
  return fmt::format(
      "<figure><figcaption><code>{}</code>: {:.1f}% of keys read, {:.1f}% of attention on them; "
      "above where the attention is, below what is read</figcaption><svg role=\"img\" "
      "aria-label=\"pages\" viewBox=\"0 0 {} {}\" width=\"{}\">{}</svg></figure>\n",
      escape(p.policy), 100 * p.steps.read, 100 * p.steps.recall, width, 2 * row + 4, width, svg);
}

std::string policy_table(const LayerResult& layer) {
  std::string out =
      "<table><tr><th>policy</th><th>prompt read</th><th>recall</th><th>worst head</th><th>steps "
      "read</th><th>recall</th><th>worst head</th></tr>\n";
  for (const eval::PolicyRecall& p : layer.policies) {
    out += fmt::format("<tr><td>{}</td>", escape(p.policy));
    if (!p.refused.empty()) {
      out += fmt::format("<td colspan=\"6\">{}</td></tr>\n", escape(p.refused));
      continue;
    }
    const auto cells = [&](const eval::StageRecall& s) {
      return fmt::format("<td>{:.1f}%</td><td>{:.1f}%</td><td>{:.1f}%</td>", 100 * s.read,
                         100 * s.recall, 100 * s.worst);
    };
    out += p.prefill ? cells(*p.prefill) : "<td>all</td><td></td><td></td>";
    out += cells(p.steps) + "</tr>\n";
  }
  return out + "</table>\n";
}

std::string layer_section(const LayerResult& layer) {
  std::string out = fmt::format("<h2>Layer {}</h2>\n", layer.profile.layer);
  if (!layer.note.empty()) out += "<p>" + escape(layer.note) + "</p>\n";
  out += distance_figure(layer.profile);
  if (layer.policies.empty()) return out;
  out += policy_table(layer);
  for (const eval::PolicyRecall& p : layer.policies) {
    if (p.refused.empty() && !p.page_mass.empty()) out += page_figure(p);
  }
  return out;
}

}  // namespace

std::string profile_html(const ProfileReport& report) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>Attention of {0}</title><style>{1}</style></head>"
      "<body>\n<h1>Attention of {0}</h1>\n<p>{2} tokens of {3}; the last {4} are written one by "
      "one. "
      "Means over up to {5} queries. <code>{6}</code></p>\n",
      escape(report.model), kStyle, grouped(report.tokens), escape(report.text),
      report.tokens - report.prompt, report.options.rows, escape(report.command));
  if (!report.layers.empty()) {
    for (const HeadMeasure& m : head_measures(report.options)) out += measure_figure(report, m);
  }
  for (const LayerResult& layer : report.layers) out += layer_section(layer);
  return out + "</body></html>\n";
}

}  // namespace fathom::cli
