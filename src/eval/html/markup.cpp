#include "eval/html/markup.h"

#include <cmath>

#include "base/memory.h"
#include "text/entity.h"
#include "text/utf8.h"

namespace fathom::eval::html {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

std::string escape(std::string_view text) {
  std::string out, valid, rest(text);
  text::take_complete_utf8(rest, valid);
  if (!rest.empty()) valid += kReplacement;
  for (const char c : valid) {
    const auto byte = static_cast<unsigned char>(c);
    if (const std::string_view e = text::markup_entity(c); !e.empty()) {
      out += e;
    } else if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) {
      out += kReplacement;
    } else {
      out += c;
    }
  }
  return out;
}

std::string escape_line(std::string_view line) {
  std::string out;
  for (const char c : escape(line)) {
    out += c;
    if (c == '(' || c == ',') out += "<wbr>";
  }
  return out;
}

std::string percent(double share) { return fmt::format("{:.1f}", 100 * share); }

std::string with_interval(const Estimate& e) {
  return fmt::format("{:.1f} <small>{:.0f}–{:.0f}</small>", 100 * e.value, 100 * e.interval.low,
                     100 * e.interval.high);
}

std::string seconds(double s) {
  if (s >= 1) return fmt::format("{:.2f} s", s);
  if (s >= 0.01) return fmt::format("{:.0f} ms", 1e3 * s);
  if (s >= 0.001) return fmt::format("{:.1f} ms", 1e3 * s);
  return fmt::format("{:.0f} µs", 1e6 * s);
}

std::string p_value(double p) { return p < 0.001 ? "&lt;0.001" : fmt::format("{:.3f}", p); }

std::string bytes(double n) { return human_bytes(n); }

std::string cell(const std::string& shown, double sort_by, std::string_view classes) {
  return fmt::format("<td class=\"n {}\" data-v=\"{:.9g}\">{}</td>", classes,
                     std::isfinite(sort_by) ? sort_by : 0, shown);
}

std::string text_cell(std::string_view text, std::string_view classes) {
  return fmt::format("<td class=\"{}\">{}</td>", classes, escape(text));
}

std::string empty_cell() { return "<td class=\"n soft\" data-v=\"-1\">–</td>"; }

std::string table(const std::vector<Head>& heads, const std::string& rows) {
  std::string out = "<div class=\"scroll\"><table><thead><tr>";
  for (size_t i = 0; i < heads.size(); ++i) {
    out += fmt::format("<th class=\"s {} {}\" title=\"{}\">{}</th>", heads[i].number ? "n" : "",
                       i == 0 ? "first" : "", escape(heads[i].hint), escape(heads[i].text));
  }
  return out + "</tr></thead><tbody>\n" + rows + "</tbody></table></div>\n";
}

std::string section(std::string_view id, std::string_view title, std::string_view introduction,
                    const std::string& body) {
  std::string out = fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n", id, escape(title));
  if (!introduction.empty()) out += fmt::format("<p class=\"lead\">{}</p>\n", escape(introduction));
  return out + body + "</section>\n";
}

}  // namespace fathom::eval::html
