// The report for a terminal.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/memory.h"
#include "eval/controls.h"
#include "eval/report.h"
#include "eval/ruler_summary.h"

namespace fathom::eval {
namespace {

std::string points(const Estimate& e) {
  return fmt::format("{:.1f} [{:.1f}, {:.1f}]", 100 * e.value, 100 * e.interval.low,
                     100 * e.interval.high);
}

std::string cell_text(const Cell& c) {
  if (c.measure == Measure::kNone) {
    if (c.sessions.empty()) return "-";
    return fmt::format("n/a ({:.1f})", 100 * c.summary.mean.value);
  }
  if (c.judged().empty()) return "-";
  return points(c.judged_summary().mean) + (c.measure == Measure::kChoice ? " c" : "  ");
}

constexpr int kColumn = 22;
constexpr size_t kWidest = 4;  // policies side by side

std::string policy_lines(const Report& report) {
  std::string out;
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const PolicyReport& p = report.policies[i];
    out += fmt::format("({}) {}, {}\n", i + 1, p.policy, p.mode);
    if (p.cost.cut > 0) {
      out += fmt::format("    {} of {} answers were cut at their most tokens\n", p.cost.cut,
                         p.cost.questions);
    }
  }
  return out + "\n";
}

std::string cell_rows(const Report& report) {
  const size_t n = std::min(kWidest, report.policies.size());
  std::string out = fmt::format("{:<32} {:>7}", "score, 95 % interval", "tokens");
  for (size_t i = 0; i < n; ++i) {
    out += fmt::format("  {:>{}}", fmt::format("({})  ", i + 1), kColumn);
  }
  out += "\n";
  bool gated = false, chosen = false;
  for (const Cell& c : report.policies[0].cells) {
    out += fmt::format("{:<32} {:>7}", c.task, c.length);
    gated |= c.measure == Measure::kNone;
    chosen |= c.measure == Measure::kChoice;
    for (size_t i = 0; i < n; ++i) {
      const Cell* cell = find_cell(report.policies[i], c);
      out += fmt::format("  {:>{}}", cell ? cell_text(*cell) : "-  ", kColumn);
    }
    out += "\n";
  }
  if (gated) {
    out +=
        "n/a: (1) cannot do the task, so that it says nothing of the others; left out of means\n";
  }
  if (chosen)
    out += "c: of the forced choice, as (1) recognises the answers but does not write them\n";
  if (report.policies.size() > n) out += "more policies: --json, or report.html in the folder -o\n";
  return out + "\n";
}

std::string_view place_mark(Frontier::Place place) {
  constexpr std::string_view kMarks[] = {"*", ".", "~", ""};
  return kMarks[static_cast<size_t>(place)];
}

// Cache, first token, decoding: each with its place on the frontier.
std::string cost_columns(const Report& report, size_t i) {
  const std::optional<CostSummary>& c = report.policies[i].measured;
  if (!c) return fmt::format(" {:>12}  {:>10}  {:>10} ", "-", "-", "-");
  const auto mark = [&](size_t axis) {
    return axis < report.frontiers.size() ? place_mark(report.frontiers[axis].places[i]) : "";
  };
  return fmt::format(" {:>12}{:1} {:>8.0f} ms{:1} {:>6.0f} us{:1}", human_bytes(c->kv_bytes),
                     mark(0), 1e3 * c->first_token_seconds, mark(1), 1e6 * c->step_seconds,
                     mark(2));
}

std::string summary_rows(const Report& report) {
  std::string out = fmt::format("{:<5} {:>22} {:>13} {:>12} {:>10}\n", "", "mean of what counts",
                                "cache", "first token", "a step");
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const PolicyReport& p = report.policies[i];
    out += fmt::format("{:<5} {:>22} {}  {}\n", fmt::format("({})", i + 1),
                       p.counted > 0 ? points(p.mean) : "-", cost_columns(report, i),
                       short_line(p.policy));
  }
  if (!report.frontiers.empty()) {
    out += "* nothing is better for less; . another is; ~ neither can be told\n";
  }
  for (size_t i = 1; i < report.policies.size(); ++i) {
    out += fmt::format("({}) against (1): {}\n", i + 1, report.policies[i].against_first->verdict);
  }
  return out;
}

std::string gold_rows(const Report& report) {
  std::string out;
  for (size_t i = 0; i < report.policies.size(); ++i) {
    double kept = 0, layers = 0, fetched = 0;
    size_t n = 0, fetching = 0;
    for (const Cell& c : report.policies[i].cells) {
      if (!c.gold_kept) continue;
      kept += *c.gold_kept;
      layers += c.gold_layers.value_or(0);
      ++n;
      if (c.gold_fetched) {
        fetched += *c.gold_fetched;
        ++fetching;
      }
    }
    if (n == 0 || (kept == double(n) && fetching == 0)) continue;
    out +=
        fmt::format("({}) kept {:.0f} % of what the answers need, whole in {:.0f} % of the layers",
                    i + 1, 100 * kept / double(n), 100 * layers / double(n));
    if (fetching > 0) out += fmt::format("; read {:.0f} % of it", 100 * fetched / double(fetching));
    out += "\n";
  }
  return out.empty() ? "" : "\n" + out;
}

std::string check_rows(const Report& report) {
  std::string out;
  for (const CheckResult& c : report.checks) {
    out += fmt::format("{:<32} {:>7}  {:>22}  {}\n", c.task, c.length, points(c.score), c.check);
  }
  return out.empty() ? "" : "\nchecks of the tasks with (1): should be near chance\n" + out;
}

// What single tokens do: the tails that means hide.
std::string token_text(std::span<const ProseLine> prose) {
  std::string out = fmt::format(
      "\n{:<9} {:>7} {:<7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}\n", "text",
      "tokens", "set", "KL 50%", "90%", "99%", "99.9%", "wavering", "dp 1%", "50%", "99%", "rms dp",
      "logits");
  std::string policy;
  for (const ProseLine& l : prose) {
    if (l.policy != policy) out += short_line(l.policy) + "\n";
    policy = l.policy;
    const Divergence& d = l.result;
    const auto delta = [&](double q) {
      for (size_t i = 0; i < d.delta_ps.size(); ++i) {
        if (kDeltaQuantiles[i] == q) return fmt::format("{:+.2f}%", 100 * d.delta_ps[i]);
      }
      return std::string("-");
    };
    out += fmt::format(
        "  {:<7.7} {:>7} {:<7} {:>8.1e} {:>8.1e} {:>8.1e} {:>8.1e} {:>8} {:>8} {:>8} {:>8} "
        "{:>7.2f}% "
        "{:>7.2f}%\n",
        l.text, l.length, l.positions, d.kl_median, d.kl_p90, d.kl_p99, d.kl_p999,
        d.close > 0 ? fmt::format("{:.1f}%", 100 * d.same_top_close) : "-", delta(0.01), delta(0.5),
        delta(0.99), 100 * d.delta_p_rms, 100 * d.logit_error.value);
  }
  return out +
         "wavering: same top where the reference's two likeliest are less than 1 nat apart; dp: "
         "change of the true token's probability; logits: relative error\n";
}

// What attention gives the reference's queries over what the other reads and holds.
std::string attention_text(std::span<const ProseLine> prose) {
  std::string rows, policy;
  for (const ProseLine& l : prose) {
    if (!l.result.attention) continue;
    if (l.policy != policy) rows += short_line(l.policy) + "\n";
    policy = l.policy;
    const AttentionLoss& a = *l.result.attention;
    rows += fmt::format("  {:<7.7} {:>7} {:<7} {:>7.1f}% {:>7.2f}% {:>7.2f}% {:>+9.4f}", l.text,
                        l.length, l.positions, 100 * a.mass, 100 * a.error_median,
                        100 * a.error_p95, a.lse_gap);
    const HeadLoss* worst = nullptr;
    for (const HeadLoss& h : l.result.heads) {
      if (!worst || h.loss.error_median > worst->loss.error_median) worst = &h;
    }
    if (worst) {
      rows += fmt::format(" {:>7.2f}% layer {} kv head {}", 100 * worst->loss.error_median,
                          worst->layer, worst->kv_head);
    }
    rows += "\n";
  }
  if (rows.empty()) return "";
  return fmt::format("\n{:<9} {:>7} {:<7} {:>8} {:>8} {:>8} {:>9} {:>8}\n", "text", "tokens", "set",
                     "mass", "output", "95%", "ln-sum", "worst") +
         rows +
         "output: error of attention's output to the reference's queries, each layer by itself: "
         "median, 95 %; ln-sum: difference of ln-sum-exp; worst: the highest median of a head\n";
}

}  // namespace

std::string prose_text(std::span<const ProseLine> prose) {
  if (prose.empty()) return "";
  std::string out =
      fmt::format("{:<9} {:>7} {:<7} {:>26} {:>9} {:>8} {:>9} {:>9} {:>9} {:>7} {:>8} {:>6}\n",
                  "text", "tokens", "set", "KL mean [95 %]", "same top", "top 10", "ln PPL", "PPL",
                  "PPL ref", "mass", "common", "alike");
  size_t written = 0;
  std::string policy;
  for (const ProseLine& l : prose) {
    if (l.policy != policy) out += short_line(l.policy) + "\n";
    policy = l.policy;
    const Divergence& d = l.result;
    out += fmt::format(
        "  {:<7.7} {:>7} {:<7} {:>26} {:>8.2f}% {:>7.2f}% {:>+9.5f} {:>9.2f} {:>9.2f} "
        "{:>7} {:>8} {:>6}\n",
        l.text, l.length, l.positions,
        fmt::format("{:.1e} [{:.1e}, {:.1e}]", d.kl.value, d.kl.interval.low, d.kl.interval.high),
        100 * d.same_top.value, 100 * d.top10.value, d.nll_difference.value, d.perplexity(),
        d.reference_perplexity,
        d.mass_recall ? fmt::format("{:.1f}%", 100 * d.mass_recall->value) : "-",
        d.greedy ? fmt::format("{:.1f}", d.greedy->common.value) : "-",
        d.greedy ? fmt::format("{:.0f}%", 100 * d.greedy->identical.value) : "-");
    if (d.greedy) written = std::max(written, d.greedy->tokens);
  }
  if (written > 0) {
    out += fmt::format(
        "common: tokens that both write alike behind the text, greedily, mean of {} at the most; "
        "alike: texts on which all are\n",
        written);
  }
  return out + token_text(prose) + attention_text(prose);
}

// What policies stood on.
std::string account_rows(const Report& report) {
  if (report.accounts.empty()) return "";
  std::string out =
      fmt::format("\n{:>7} {:>9} {:>7} {:>7} {:>7}  {}\n", "tokens", "computed", "kept", "stored",
                  "fetched", "shares of a text; bytes by codec; by position: results.json");
  for (const AccountLine& l : report.accounts) {
    const AccountLine::Shares& s = l.total;
    out += fmt::format("{:>7} {:>8.1f}% {:>6.1f}% {:>6.1f}% {:>6.1f}%  {}: {}\n", l.length,
                       100 * s.prefill, 100 * s.kept, 100 * s.stored, 100 * s.fetched,
                       short_line(l.policy), l.codecs);
  }
  return out;
}

std::string report_text(const Report& report) {
  std::string out;
  if (!report.policies.empty()) {
    out = policy_lines(report) + cell_rows(report) + summary_rows(report) + cost_text(report) +
          ruler_text(report) + named_text(report) + gold_rows(report) + check_rows(report);
  }
  if (!report.prose.empty()) {
    out += fmt::format("{}predictions against {}\n", out.empty() ? "" : "\n",
                       short_line(report.prose[0].reference));
    out += prose_text(report.prose);
  }
  if (report.policies.empty()) out += cost_text(report);
  out += account_rows(report);
  if (out.empty()) return "no results\n";
  if (report.steadiness) out += "\n" + steadiness_text(*report.steadiness) + "\n";
  return out;
}

}  // namespace fathom::eval
