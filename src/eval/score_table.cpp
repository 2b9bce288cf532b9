#include "eval/score_table.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "eval/controls.h"
#include "eval/table.h"
#include "eval/task/task.h"

namespace fathom::eval {
namespace {

constexpr double kLeastReference = 0.3;  // below, shares of it say nothing

constexpr Capability kGroups[] = {Capability::kString, Capability::kSemantic, Capability::kGlobal,
                                  Capability::kMixed,  Capability::kRuler,    Capability::kNeedle};

// One policy in one slice of the report.
struct Row {
  const Report& slice;
  size_t index;
  PolicyName name;

  const PolicyReport& policy() const { return slice.policies[index]; }
  const PolicyReport& first() const { return slice.policies[0]; }
};

// What a column shows: a number, or one with an interval.
using Number = std::optional<double>;
using Cells = std::function<std::optional<Estimate>(const Row&)>;

std::optional<Estimate> group_of(const Row& row, Capability group) {
  for (const auto& [name, score] : row.policy().groups) {
    if (name == capability_name(group)) return score;
  }
  return std::nullopt;
}

std::optional<Estimate> mean_of(const Row& row) {
  return row.policy().counted > 0 ? std::optional(row.policy().mean) : std::nullopt;
}

Number least_group(const Row& row) {
  Number out;
  for (const auto& [name, score] : row.policy().groups) {
    out = std::min(out.value_or(1), score.value);
  }
  return out;
}

Number share_of_first(const Row& row) {
  if (row.policy().counted == 0 || row.first().mean.value < kLeastReference) return std::nullopt;
  return row.policy().mean.value / row.first().mean.value;
}

// Of first turns, or of the later ones, where cells have several.
Number turns_of(const Row& row, bool later) {
  double sum = 0;
  size_t n = 0;
  for (const Cell& c : row.policy().cells) {
    if (c.measure != Measure::kAnswer || c.summary.by_turn.size() < 2) continue;
    for (size_t t = later ? 1 : 0; t < (later ? c.summary.by_turn.size() : 1); ++t) {
      sum += c.summary.by_turn[t];
      ++n;
    }
  }
  return n > 0 ? Number(sum / double(n)) : std::nullopt;
}

// Over texts of one set of positions, windows counting alike.
Number predicted(const Row& row, PositionSet set, double (*value)(const Divergence&)) {
  double sum = 0, windows = 0;
  for (const ProseLine& l : row.slice.prose) {
    if (l.policy != row.policy().policy || l.positions != position_set_name(set)) continue;
    sum += double(l.result.windows) * value(l.result);
    windows += double(l.result.windows);
  }
  return windows > 0 ? Number(sum / windows) : std::nullopt;
}

double kl_of(const Divergence& d) { return d.kl.value; }
double top_of(const Divergence& d) { return d.same_top.value; }

Number cost_of(const Row& row, double (*value)(const CostSummary&)) {
  return row.policy().measured ? Number(value(*row.policy().measured)) : std::nullopt;
}

std::string pareto_of(const Row& row, size_t axis) {
  if (axis >= row.slice.frontiers.size()) return "";
  const Frontier& f = row.slice.frontiers[axis];
  switch (f.places[row.index]) {
    case Frontier::Place::kOn:
      return "*";
    case Frontier::Place::kDominated:
      return fmt::format(". {}", *f.by[row.index] + 1);
    case Frontier::Place::kNotDistinguishable:
      return "~";
    default:
      return "";
  }
}

std::vector<Row> rows_of(const Report& slice) {
  std::vector<std::string> lines;
  for (const PolicyReport& p : slice.policies) lines.push_back(p.policy);
  const std::vector<std::string> names = short_lines(lines);
  std::vector<Row> out;
  for (size_t i = 0; i < lines.size(); ++i) out.push_back({slice, i, split_name(names[i])});
  std::vector<size_t> order(out.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto bytes = [&](size_t i) {
    return cost_of(out[i], [](const CostSummary& c) { return c.bytes_per_token(); }).value_or(0);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return bytes(a) > bytes(b); });
  std::vector<Row> sorted;
  for (const size_t i : order) sorted.push_back(out[i]);
  return sorted;
}

// A number of the table; `text` is for people, csv has the value as it is.
struct Column {
  const char *title, *csv;
  std::function<Number(const Row&)> value;
  std::string (*text)(double);
};

std::string mib(double bytes) { return fmt::format("{:.2f}", bytes / (1 << 20)); }
std::string whole(double v) { return fmt::format("{:.0f}", v); }
std::string two(double v) { return fmt::format("{:.2f}", v); }
std::string milliseconds(double s) { return fmt::format("{:.1f}", 1e3 * s); }
std::string points(double share) { return fmt::format("{:.1f}", 100 * share); }
std::string small(double v) { return fmt::format("{:.2g}", v); }

Column cost_column(const char* title, const char* csv, double (*value)(const CostSummary&),
                   std::string (*text)(double)) {
  return {title, csv, [value](const Row& r) { return cost_of(r, value); }, text};
}

std::vector<Column> cost_columns() {
  using C = const CostSummary&;
  return {
      cost_column(
          "KV B/token", "kv_bytes_per_token", [](C c) { return c.bytes_per_token(); }, whole),
      {"x f16", "share_of_f16",
       [](const Row& r) {
         return r.policy().measured ? r.policy().measured->share_of_f16() : std::nullopt;
       },
       two},
      cost_column(
          "peak reading MiB", "peak_prefill_bytes", [](C c) { return c.peak_kv_bytes; }, mib),
      cost_column(
          "moved MiB/step", "moved_bytes_per_step", [](C c) { return c.moved_bytes; }, mib),
      cost_column(
          "TTFT ms", "first_token_seconds", [](C c) { return c.first_token_seconds; },
          milliseconds),
      cost_column(
          "warm ms", "warm_seconds", [](C c) { return c.warm_seconds; }, milliseconds),
      cost_column(
          "prefill t/s", "prefill_tokens_per_second", [](C c) { return c.prefill_speed(); }, whole),
      cost_column(
          "decode t/s", "decode_tokens_per_second", [](C c) { return c.decode_speed(); }, whole),
  };
}

std::vector<Column> quality_columns() {
  const auto of = [](PositionSet set, double (*value)(const Divergence&)) {
    return [set, value](const Row& r) { return predicted(r, set, value); };
  };
  return {{"of (1)", "share_of_first", share_of_first, points},
          {"min", "least_group", least_group, points},
          {"S1", "first_turn", [](const Row& r) { return turns_of(r, false); }, points},
          {"S2..", "later_turns", [](const Row& r) { return turns_of(r, true); }, points},
          {"KL decode", "kl_decode", of(PositionSet::kDecode, kl_of), small},
          {"KL answer", "kl_answer", of(PositionSet::kAnswer, kl_of), small},
          {"top-1", "same_top_decode", of(PositionSet::kDecode, top_of), points}};
}

struct ScoreColumn {
  std::string title;
  Cells score;
};
std::vector<ScoreColumn> score_columns() {
  std::vector<ScoreColumn> out;
  for (const Capability group : kGroups) {
    out.push_back({std::string(capability_name(group)),
                   [group](const Row& r) { return group_of(r, group); }});
  }
  out.push_back({"mean", mean_of});
  return out;
}

std::string score_text(const std::optional<Estimate>& e) {
  if (!e) return "";
  return fmt::format("{:.1f} [{:.1f}, {:.1f}]", 100 * e->value, 100 * e->interval.low,
                     100 * e->interval.high);
}

constexpr const char* kPareto[] = {"Pareto KV", "Pareto TTFT", "Pareto step"};
constexpr const char* kParetoCsv[] = {"pareto_kv_bytes", "pareto_first_token", "pareto_step"};

using TextColumn = std::pair<std::string, std::function<std::string(const Row&)>>;

std::vector<TextColumn> markdown_columns() {
  std::vector<TextColumn> out;
  const auto add = [&](const std::vector<Column>& columns) {
    for (const Column& c : columns) {
      out.emplace_back(c.title, [c](const Row& r) {
        const Number v = c.value(r);
        return v ? c.text(*v) : std::string();
      });
    }
  };
  add(cost_columns());
  for (const ScoreColumn& c : score_columns()) {
    out.emplace_back(c.title, [c](const Row& r) { return score_text(c.score(r)); });
  }
  add(quality_columns());
  for (size_t axis = 0; axis < std::size(kPareto); ++axis) {
    out.emplace_back(kPareto[axis], [axis](const Row& r) { return pareto_of(r, axis); });
  }
  return out;
}

// Columns that nobody fills are left out.
std::string markdown_table(const std::vector<Row>& rows) {
  std::vector<TextColumn> columns = markdown_columns();
  std::erase_if(columns, [&](const TextColumn& c) {
    return std::all_of(rows.begin(), rows.end(), [&](const Row& r) { return c.second(r).empty(); });
  });
  std::string out = "| # | policy | setting |", rule = "|---:|---|---|";
  for (const TextColumn& c : columns) {
    out += " " + c.first + " |";
    rule += "---:|";
  }
  out += "\n" + rule + "\n";
  for (const Row& r : rows) {
    out += fmt::format("| {} | `{}` | {} |", r.index + 1, in_cell(r.name.method),
                       r.name.setting.empty() ? "-" : "`" + in_cell(r.name.setting) + "`");
    for (const TextColumn& c : columns) {
      const std::string text = c.second(r);
      out += " " + (text.empty() ? "-" : text) + " |";
    }
    out += "\n";
  }
  return out + "\n";
}

std::string csv_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string csv_number(const Number& v) { return v ? fmt::format(",{:.9g}", *v) : ","; }

std::string csv_head() {
  std::string out = "length,mode,number,policy,setting,line";
  for (const Column& c : cost_columns()) out += fmt::format(",{}", c.csv);
  for (const ScoreColumn& c : score_columns()) out += fmt::format(",{0},{0}_low,{0}_high", c.title);
  for (const Column& c : quality_columns()) out += fmt::format(",{}", c.csv);
  for (const char* axis : kParetoCsv) out += fmt::format(",{}", axis);
  return out + "\n";
}

std::string csv_row(const Row& r, size_t length) {
  std::string out =
      fmt::format("{},{},{},{},{},{}", length, csv_text(r.policy().mode), r.index + 1,
                  csv_text(r.name.method), csv_text(r.name.setting), csv_text(r.policy().policy));
  for (const Column& c : cost_columns()) out += csv_number(c.value(r));
  for (const ScoreColumn& c : score_columns()) {
    const auto e = c.score(r);
    out += csv_number(e ? Number(e->value) : std::nullopt) +
           csv_number(e ? Number(e->interval.low) : std::nullopt) +
           csv_number(e ? Number(e->interval.high) : std::nullopt);
  }
  for (const Column& c : quality_columns()) out += csv_number(c.value(r));
  for (size_t axis = 0; axis < std::size(kParetoCsv); ++axis) out += "," + pareto_of(r, axis);
  return out + "\n";
}

template <class Use>
void each_slice(const Report& report, Use use) {
  for (const std::string& mode : modes_of(report)) {
    for (const size_t length : lengths_of(report)) {
      const Report slice = slice_report(report, length, mode);
      if (!slice.policies.empty()) use(length, mode, rows_of(slice));
    }
  }
}

}  // namespace

PolicyName split_name(std::string_view line) {
  PolicyName out;
  int depth = 0;
  for (const char c : line) {
    if (c == '(' && depth++ == 0) {
      if (!out.setting.empty()) out.setting += "; ";
      continue;
    }
    if (c == ')' && --depth == 0) continue;
    (depth > 0 ? out.setting : out.method) += c;
  }
  return out;
}

std::string score_table(const Report& report, const nlohmann::ordered_json& run) {
  const auto model = run.find("model");
  const std::string name =
      model != run.end() && model->is_string() ? in_cell(model->get<std::string>()) : "model";
  std::string out;
  each_slice(report, [&](size_t length, const std::string& mode, const std::vector<Row>& rows) {
    out +=
        fmt::format("## {}, {} tokens, {}\n\n", name, length, in_cell(mode)) + markdown_table(rows);
  });
  if (out.empty()) return out;
  return out +
         "Scores of tasks that count, percent, 95 % intervals. Pareto: `*` nothing is as good for "
         "less, `. N` dominated by policy N, `~` neither can be told; controls have none.\n";
}

std::string score_csv(const Report& report) {
  std::string out;
  each_slice(report, [&](size_t length, const std::string&, const std::vector<Row>& rows) {
    for (const Row& r : rows) out += csv_row(r, length);
  });
  return out.empty() ? out : csv_head() + out;
}

}  // namespace fathom::eval
