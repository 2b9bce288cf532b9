#include "eval/table.h"

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include "base/error.h"
#include "eval/controls.h"
#include "eval/html/sections.h"
#include "eval/model_traits.h"

namespace fathom::eval {
namespace {

constexpr size_t kBins = 5;  // of depths

// What one policy did at one length.
struct Row {
  std::string policy, name;
  std::optional<CostSummary> cost;
  std::optional<double> bytes;  // of the first policy's
  std::string even;             // break-even questions against it
  struct Predictions {
    double windows = 0, kl = 0, same_top = 0;          // sums over windows
    double greedy_windows = 0, common = 0, alike = 0;  // of those that were written behind
  };
  std::array<Predictions, 3> predictions;  // by PositionSet
  bool asked = false;                      // a task at this length
  size_t counted = 0;                      // tasks that count
  Estimate right;
  std::array<double, kBins> sum{}, questions{};  // by depth
};

using Column = std::pair<std::string, std::function<std::string(const Row&)>>;  // "" for nothing

std::string percent(double share) {
  const double p = 100 * share;
  return p > 0 && p < 9.95 ? fmt::format("{:.1f}%", p) : fmt::format("{:.0f}%", p);
}

std::string speed(double tokens) { return fmt::format("{:.0f}", tokens); }

void add_tasks(const PolicyReport& policy, size_t length, Row& row) {
  std::vector<const Cell*> counted;
  for (const Cell& c : policy.cells) {
    if (c.length != length) continue;
    row.asked = true;
    if (c.measure == Measure::kNone || c.judged().empty()) continue;
    counted.push_back(&c);
    for (const auto& [depth, score] : c.by_depth) {
      const size_t bin = std::min(kBins - 1, static_cast<size_t>(depth * double(kBins)));
      row.sum[bin] += score;
      ++row.questions[bin];
    }
  }
  row.counted = counted.size();
  if (!counted.empty()) row.right = mean_of_cells(counted);
}

void add_predictions(const Report& report, size_t length, Row& row) {
  for (const ProseLine& l : report.prose) {
    if (l.policy != row.policy || l.length != length) continue;
    for (size_t set = 0; set < row.predictions.size(); ++set) {
      if (l.positions != position_set_name(static_cast<PositionSet>(set))) continue;
      const auto windows = double(l.result.windows);
      row.predictions[set].windows += windows;
      row.predictions[set].kl += windows * l.result.kl.value;
      row.predictions[set].same_top += windows * l.result.same_top.value;
      if (!l.result.greedy) continue;
      row.predictions[set].greedy_windows += windows;
      row.predictions[set].common += windows * l.result.greedy->common.value;
      row.predictions[set].alike += windows * l.result.greedy->identical.value;
    }
  }
}

// Every policy once, in the order in which it first appears.
std::vector<std::string> policies_of(const Report& report) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& policy) {
    if (!policy.empty() && std::count(out.begin(), out.end(), policy) == 0) out.push_back(policy);
  };
  if (report.policies.empty() && !report.prose.empty()) add(report.prose[0].reference);
  for (const PolicyReport& p : report.policies) add(p.policy);
  for (const ProseLine& l : report.prose) add(l.policy);
  for (const CostLine& l : report.costs) add(l.policy);
  return out;
}

// Of questions and of predictions.
std::set<size_t> all_lengths(const Report& report) {
  const std::vector<size_t> asked = lengths_of(report);
  std::set<size_t> out(asked.begin(), asked.end());
  for (const ProseLine& l : report.prose) out.insert(l.length);
  return out;
}

std::vector<Row> rows_of(const Report& report, size_t length) {
  const std::vector<std::string> policies = policies_of(report);
  const std::vector<std::string> names = short_lines(policies);
  std::vector<CostLine> costs;
  for (const CostLine& l : report.costs) {
    // A prompt as long as the context is timed a little shorter, to leave room for what follows.
    if (l.length <= length && 2 * l.length > length) costs.push_back(l);
  }
  std::vector<Row> out;
  for (size_t i = 0; i < policies.size(); ++i) {
    Row& row = out.emplace_back();
    row.policy = policies[i];
    row.name = names[i];
    row.cost = summarize_costs(costs, row.policy);
    if (row.cost && out[0].cost) {
      row.bytes = row.cost->kv_bytes / out[0].cost->kv_bytes;
      row.even = i > 0 ? break_even_text(*out[0].cost, *row.cost) : "";
    }
    for (const PolicyReport& p : report.policies) {
      if (p.policy == row.policy && p.mode == report.policies[0].mode) add_tasks(p, length, row);
    }
    add_predictions(report, length, row);
  }
  return out;
}

std::string right_text(const Row& row) {
  if (row.counted == 0) return row.asked ? "n/a" : "";
  const Estimate& e = row.right;
  return fmt::format("{:.0f} [{:.0f}, {:.0f}]", 100 * e.value, 100 * std::max(0.0, e.interval.low),
                     100 * e.interval.high);
}

std::vector<Column> all_columns() {
  std::vector<Column> out = {
      {"prompt", [](const Row& r) { return r.cost ? percent(r.cost->prompt_read) : ""; }},
      {"keys", [](const Row& r) { return r.cost ? percent(r.cost->keys_read) : ""; }},
      {"cache", [](const Row& r) { return r.bytes ? percent(*r.bytes) : ""; }},
      {"t/s", [](const Row& r) { return r.cost ? speed(1 / r.cost->step_seconds) : ""; }},
  };
  for (const size_t sequences : kBatches) {
    out.emplace_back(fmt::format("x{}", sequences), [sequences](const Row& r) {
      for (const BatchCost& b : r.cost ? r.cost->batches : std::vector<BatchCost>()) {
        if (b.sequences == sequences) return speed(double(sequences) / b.step_seconds);
      }
      return std::string();
    });
  }
  out.emplace_back("even", [](const Row& r) { return r.even; });
  constexpr std::array kSets = {"reading", "decoding", "answers"};
  for (size_t set = 0; set < kSets.size(); ++set) {
    out.emplace_back(fmt::format("KL {}", kSets[set]), [set](const Row& r) {
      const auto& p = r.predictions[set];
      return p.windows > 0 ? fmt::format("{:.2g}", p.kl / p.windows) : "";
    });
    out.emplace_back("top", [set](const Row& r) {
      const auto& p = r.predictions[set];
      return p.windows > 0 ? fmt::format("{:.1f}%", 100 * p.same_top / p.windows) : "";
    });
    if (static_cast<PositionSet>(set) != PositionSet::kDecode) continue;
    out.emplace_back("common", [set](const Row& r) {
      const auto& p = r.predictions[set];
      return p.greedy_windows > 0 ? fmt::format("{:.0f}", p.common / p.greedy_windows) : "";
    });
    out.emplace_back("alike", [set](const Row& r) {
      const auto& p = r.predictions[set];
      return p.greedy_windows > 0 ? percent(p.alike / p.greedy_windows) : "";
    });
  }
  out.emplace_back("right", right_text);
  for (size_t b = 0; b < kBins; ++b) {
    const size_t width = 100 / kBins;
    out.emplace_back(fmt::format("{}-{}", width * b, width * (b + 1)), [b](const Row& r) {
      return r.questions[b] > 0 ? fmt::format("{:.0f}", 100 * r.sum[b] / r.questions[b]) : "";
    });
  }
  return out;
}

std::vector<Column> filled_columns(const std::vector<Row>& rows) {
  std::vector<Column> out = all_columns();
  std::erase_if(out, [&](const Column& c) {
    return std::all_of(rows.begin(), rows.end(), [&](const Row& r) { return c.second(r).empty(); });
  });
  return out;
}

std::string table_rows(const std::vector<Row>& rows, const std::vector<Column>& columns,
                       std::string_view family) {
  std::string body;
  for (const Row& r : rows) {
    if (html::family_of(r.policy) != family) continue;
    body += fmt::format("| `{}` |", in_cell(r.name));
    for (const Column& c : columns) {
      const std::string text = c.second(r);
      body += fmt::format(" {} |", text.empty() ? "-" : text);
    }
    body += "\n";
  }
  if (body.empty()) return "";
  const auto title = std::string(html::family_name(family));
  std::string head = fmt::format("### {}\n\n| policy |", title), rule = "|---|";
  for (const Column& c : columns) {
    head += fmt::format(" {} |", c.first);
    rule += "---:|";
  }
  return head + "\n" + rule + "\n" + body + "\n";
}

// What single tokens do, a row a policy, set of positions and text.
std::string token_rows(const Report& report, size_t length) {
  std::string out;
  for (const ProseLine& l : report.prose) {
    const Divergence& d = l.result;
    if (l.length != length || d.tokens == 0) continue;
    out += fmt::format("| `{}` | {} | {} |", in_cell(short_line(l.policy)), l.positions,
                       in_cell(l.text));
    for (const double kl : {d.kl_median, d.kl_p90, d.kl_p99, d.kl_p999, d.kl_max}) {
      out += fmt::format(" {:.2g} |", kl);
    }
    out += d.close > 0 ? fmt::format(" {:.1f}% |", 100 * d.same_top_close) : " - |";
    out += fmt::format(" {:+.2f} | {:.2f} |", 100 * d.delta_p.value, 100 * d.delta_p_rms);
    for (const double p : d.delta_ps) out += fmt::format(" {:+.2f} |", 100 * p);
    out += fmt::format(" {:.2f}% | {:.2g} | {:.2g} |\n", 100 * d.logit_error.value, d.logit_most,
                       d.log_p_rms);
  }
  if (out.empty()) return "";
  std::string head =
      "### single tokens\n\n| policy | positions | text | KL 50% | 90% | 99% | 99.9% | most | "
      "wavering | dp | RMS |";
  std::string rule = "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|";
  for (const double q : kDeltaQuantiles) {
    head += q == 0 ? " least |" : q == 1 ? " most |" : fmt::format(" {:g}% |", 100 * q);
    rule += "---:|";
  }
  return head + " logits | most | ln p |\n" + rule + "---:|---:|---:|\n" + out + "\n";
}

// What attention loses, a row a policy, set of positions and text.
std::string attention_rows(const Report& report, size_t length) {
  std::string out;
  for (const ProseLine& l : report.prose) {
    if (l.length != length || !l.result.attention) continue;
    const AttentionLoss& a = *l.result.attention;
    out += fmt::format("| `{}` | {} | {} | {:.1f}% | {:.2f}% | {:.2f}% | {:+.4f} |\n",
                       in_cell(short_line(l.policy)), l.positions, in_cell(l.text), 100 * a.mass,
                       100 * a.error_median, 100 * a.error_p95, a.lse_gap);
  }
  if (out.empty()) return "";
  return "### attention\n\n| policy | positions | text | mass | output error | 95% | ln-sum-exp |\n"
         "|---|---|---|---:|---:|---:|---:|\n" +
         out + "\n";
}

std::string text_of(const nlohmann::ordered_json& run, const char* key) {
  const auto it = run.find(key);
  return it != run.end() && it->is_string() ? in_cell(it->get<std::string>()) : "";
}

std::string heading(const Report& report, const nlohmann::ordered_json& run, size_t length) {
  std::string out = fmt::format("## {}, {} tokens\n\n", text_of(run, "model"), length);
  std::string tasks;
  for (const PolicyReport& p : report.policies) {
    if (&p != &report.policies[0]) break;
    for (const Cell& c : p.cells) {
      if (c.length != length) continue;
      size_t questions = 0;
      for (const ScoredSession& s : c.sessions) questions += s.scores.size();
      tasks += fmt::format("{}{} ({} questions)", tasks.empty() ? "" : ", ", c.task, questions);
    }
  }
  if (!tasks.empty()) out += "Asked: " + tasks + ". ";
  const auto windows =
      std::find_if(report.prose.begin(), report.prose.end(),
                   [&](const ProseLine& l) { return l.length == length && l.result.windows > 0; });
  if (windows != report.prose.end()) {
    out += fmt::format("Predictions: {} windows, against `{}`. ", windows->result.windows,
                       in_cell(short_line(windows->reference)));
  }
  return out + "\n\n";
}

}  // namespace

std::string in_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string report_table(const Report& report, const nlohmann::ordered_json& run) {
  std::string out;
  if (const std::string command = text_of(run, "command"); !command.empty()) {
    out += "    " + command + "\n\n";
  }
  if (const std::string caveats = caveats_text(run); !caveats.empty()) out += caveats + "\n";
  for (const size_t length : all_lengths(report)) {
    out += heading(report, run, length);
    const std::vector<Row> rows = rows_of(report, length);
    const std::vector<Column> columns = filled_columns(rows);
    for (const char* family : {"dense", "prefill", "keep", "store", "fetch", "mixed", "control"}) {
      out += table_rows(rows, columns, family);
    }
    out += token_rows(report, length) + attention_rows(report, length);
  }
  return out;
}

}  // namespace fathom::eval
