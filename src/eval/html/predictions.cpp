// Predictions: means over windows, and what single tokens do.
#include "eval/controls.h"
#include "eval/html/markup.h"
#include "eval/html/sections.h"

namespace fathom::eval::html {
namespace {

const std::string kNothing = empty_cell();

std::string line_head(const ProseLine& l) {
  return fmt::format("<tr><td class=\"first\"><span class=\"name\" title=\"{}\">{}</span></td>",
                     escape(l.policy), escape_line(short_line(l.policy))) +
         text_cell(l.positions) + text_cell(l.text) +
         cell(std::to_string(l.length), double(l.length));
}

// A probability's change in points.
std::string delta_cell(double d) { return cell(fmt::format("{:+.2f}", 100 * d), d); }

std::string token_row(const ProseLine& l) {
  const Divergence& d = l.result;
  std::string out = line_head(l);
  for (const double kl : {d.kl_median, d.kl_p90, d.kl_p99, d.kl_p999, d.kl_max}) {
    out += cell(fmt::format("{:.2g}", kl), kl);
  }
  out += d.close > 0
             ? cell(fmt::format("{} <small>of {}</small>", percent(d.same_top_close), d.close),
                    d.same_top_close)
             : kNothing;
  out += cell(fmt::format("{:+.2f} <small>{:+.2f} to {:+.2f}</small>", 100 * d.delta_p.value,
                          100 * d.delta_p.interval.low, 100 * d.delta_p.interval.high),
              d.delta_p.value) +
         cell(fmt::format("{:.2f}", 100 * d.delta_p_rms), d.delta_p_rms);
  for (size_t i = 0; i < std::size(kDeltaQuantiles); ++i) {
    out += i < d.delta_ps.size() ? delta_cell(d.delta_ps[i]) : kNothing;
  }
  return out + cell(percent(d.logit_error.value), d.logit_error.value) +
         cell(fmt::format("{:.2g}", d.logit_most), d.logit_most) +
         cell(fmt::format("{:.2g}", d.log_p_rms), d.log_p_rms) + "</tr>\n";
}

std::string greedy_cells(const Divergence& d) {
  if (!d.greedy) return kNothing + kNothing;
  const Estimate& e = d.greedy->common;
  return cell(fmt::format("{:.1f} <small>{:.0f}–{:.0f} of {}</small>", e.value, e.interval.low,
                          e.interval.high, d.greedy->tokens),
              e.value) +
         cell(with_interval(d.greedy->identical), d.greedy->identical.value);
}

std::string token_table(const Report& report) {
  std::vector<Head> heads = {
      {"policy", "", false},
      {"positions", "", false},
      {"text", "", false},
      {"tokens"},
      {"KL median", "of single tokens, nats"},
      {"90 %"},
      {"99 %"},
      {"99.9 %"},
      {"most"},
      {"wavering, %",
       "same most likely token where dense attention's two likeliest are less than 1 nat apart"},
      {"Δp", "probability of the true token, in points: mean, 95 % interval over windows"},
      {"RMS Δp", "over tokens"}};
  std::vector<std::string> names;
  for (const double q : kDeltaQuantiles) {
    names.push_back(q == 0 ? "least" : q == 1 ? "most" : fmt::format("{:g} %", 100 * q));
  }
  for (const std::string& name : names) {
    heads.push_back({name.c_str(), "of Δp: alike on both sides is noise"});
  }
  heads.push_back({"logits, %", "relative error of logits less their mean"});
  heads.push_back({"most", "that a logit moves, of the 100 most likely tokens of any position"});
  heads.push_back({"RMS ln p", "of the 100 most likely tokens"});
  std::string rows;
  for (const ProseLine& l : report.prose) rows += token_row(l);
  return table(heads, rows);
}

}  // namespace

std::string prose_tables(const Report& report) {
  if (report.prose.empty()) return "";
  std::string rows;
  for (const ProseLine& l : report.prose) {
    const Divergence& d = l.result;
    rows += line_head(l);
    rows += cell(fmt::format("{:.2g} <small>{:.1g}–{:.1g}</small>", d.kl.value, d.kl.interval.low,
                             d.kl.interval.high),
                 d.kl.value);
    rows += cell(percent(d.same_top.value), d.same_top.value);
    rows += cell(percent(d.top10.value), d.top10.value);
    rows += cell(fmt::format("{:.2f}", d.perplexity()), d.perplexity());
    rows += cell(fmt::format("{:+.4f} <small>{:+.3f} to {:+.3f}</small>", d.nll_difference.value,
                             d.nll_difference.interval.low, d.nll_difference.interval.high),
                 d.nll_difference.value);
    rows += d.mass_recall ? cell(percent(d.mass_recall->value), d.mass_recall->value) : kNothing;
    rows += greedy_cells(d);
    rows += cell(fmt::format("{} <small>{}</small>", d.windows, d.tokens), double(d.tokens));
    rows += "</tr>\n";
  }
  const std::string lead = fmt::format(
      "The same tokens are forced through each policy and through {}. Nearly every token of prose "
      "can be told from its neighbours: a small divergence there does not show that facts are "
      "still "
      "found. Answers are the ones that tell.",
      short_line(report.prose[0].reference));
  return section("predictions", "Predictions", lead,
                 table({{"policy", "", false},
                        {"positions",
                         "prefill: while reading; decode: token by token; answer: the "
                         "right answers of questions",
                         false},
                        {"text", "", false},
                        {"tokens"},
                        {"KL", "mean, nats, with a 95 % interval over windows"},
                        {"same top, %", "both find the same token most likely"},
                        {"top 10, %",
                         "share of dense attention's ten likeliest tokens among the "
                         "policy's ten"},
                        {"perplexity"},
                        {"ln PPL", "difference, 95 % interval over windows"},
                        {"mass, %", "of dense attention's weights on the tokens that are read"},
                        {"written alike",
                         "tokens that both write alike behind the text, each the most likely one: "
                         "mean, 95 % interval over windows; and of how many"},
                        {"all alike, %", "windows on which all of them are; Wilson's interval"},
                        {"windows", "and tokens scored"}},
                       rows) +
                     "<p></p>\n" + token_table(report));
}

}  // namespace fathom::eval::html
