#include "eval/report.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/memory.h"

namespace fathom::eval {
namespace {

std::string task_name(const ResultLine& line) {
  return line.suite.empty() ? line.task : line.suite + "/" + line.task;
}

// Lines of one session by turn; nothing where turns are missing.
std::vector<const ResultLine*> whole_session(const std::vector<const ResultLine*>& lines) {
  std::vector<const ResultLine*> out(lines[0]->turns);
  for (const ResultLine* l : lines) {
    if (l->turn < out.size()) out[l->turn] = l;
  }
  if (std::count(out.begin(), out.end(), nullptr) > 0) return {};
  return out;
}

ScoredSession scored(const std::vector<const ResultLine*>& session) {
  ScoredSession out;
  out.id = session[0]->id;
  for (const ResultLine* l : session) {
    out.scores.push_back(l->result.score);
    out.tasks.push_back(l->turn_task.empty() ? l->task : l->turn_task);
  }
  return out;
}

Cost cost_of(const std::vector<const ResultLine*>& lines) {
  Cost c;
  double read = 0, read_seconds = 0, written = 0, write_seconds = 0;
  std::vector<double> first;
  for (const ResultLine* l : lines) {
    const QueryResult& r = l->result;
    read += double(r.read_tokens);
    read_seconds += r.read_seconds;
    if (r.output_tokens > 1) written += double(r.output_tokens - 1);
    write_seconds += r.decode_seconds;
    first.push_back(r.first_token_seconds);
    c.kv_bytes = std::max(c.kv_bytes, r.kv_bytes);
    c.cut += r.cut;
  }
  std::sort(first.begin(), first.end());
  c.questions = lines.size();
  c.first_token_seconds = first[first.size() / 2];
  if (read_seconds > 0) c.prefill_tokens_per_second = read / read_seconds;
  if (write_seconds > 0) c.decode_tokens_per_second = written / write_seconds;
  return c;
}

// Cells count alike; their distances to their limits add as squares (MOVER, Zou and Donner 2008),
// which stays honest where a cell is all right or all wrong.
Estimate mean_of_cells(const std::vector<Cell>& cells) {
  const double n = double(std::max<size_t>(1, cells.size()));
  double sum = 0, below = 0, above = 0;
  for (const Cell& c : cells) {
    const Estimate& e = c.summary.mean;
    sum += e.value;
    below += (e.value - e.interval.low) * (e.value - e.interval.low);
    above += (e.interval.high - e.value) * (e.interval.high - e.value);
  }
  return {sum / n, {(sum - std::sqrt(below)) / n, (sum + std::sqrt(above)) / n}};
}

PolicyReport policy_report(const std::vector<const ResultLine*>& lines) {
  PolicyReport out;
  out.policy = lines[0]->policy;
  out.mode = lines[0]->mode;
  out.cost = cost_of(lines);
  std::map<std::string, std::vector<const ResultLine*>> sessions;
  std::vector<std::string> order;
  for (const ResultLine* l : lines) {
    if (sessions[l->id].empty()) order.push_back(l->id);
    sessions[l->id].push_back(l);
  }
  std::map<std::pair<std::string, size_t>, size_t> cells;
  for (const std::string& id : order) {
    const auto session = whole_session(sessions[id]);
    if (session.empty()) continue;
    const auto key = std::make_pair(task_name(*session[0]), session[0]->length);
    const auto [it, is_new] = cells.emplace(key, out.cells.size());
    if (is_new) out.cells.push_back({key.first, key.second, {}, {}});
    out.cells[it->second].sessions.push_back(scored(session));
  }
  for (Cell& c : out.cells) c.summary = summarize(c.sessions);
  out.mean = mean_of_cells(out.cells);
  return out;
}

Comparison compare_policies(const PolicyReport& first, const PolicyReport& second) {
  std::map<std::string, const ScoredSession*> known;
  for (const Cell& c : first.cells) {
    for (const ScoredSession& s : c.sessions) known[s.id] = &s;
  }
  std::vector<SessionScores> a, b;
  for (const Cell& c : second.cells) {
    for (const ScoredSession& s : c.sessions) {
      const auto it = known.find(s.id);
      if (it == known.end() || it->second->scores.size() != s.scores.size()) continue;
      a.push_back(it->second->scores);
      b.push_back(s.scores);
    }
  }
  return compare(a, b);
}

std::string points(const Estimate& e) {
  return fmt::format("{:.1f} [{:.1f}, {:.1f}]", 100 * e.value, 100 * e.interval.low,
                     100 * e.interval.high);
}

const Cell* find_cell(const PolicyReport& policy, const Cell& like) {
  for (const Cell& c : policy.cells) {
    if (c.task == like.task && c.length == like.length) return &c;
  }
  return nullptr;
}

constexpr int kColumn = 22;

std::string cell_rows(const Report& report) {
  std::string out = fmt::format("{:<32} {:>7}", "score, 95 % interval", "tokens");
  for (size_t i = 0; i < report.policies.size(); ++i) {
    out += fmt::format("  {:>{}}", fmt::format("({})", i + 1), kColumn);
  }
  out += "\n";
  for (const Cell& c : report.policies[0].cells) {
    out += fmt::format("{:<32} {:>7}", c.task, c.length);
    for (const PolicyReport& p : report.policies) {
      const Cell* cell = find_cell(p, c);
      out += fmt::format("  {:>{}}", cell ? points(cell->summary.mean) : "-", kColumn);
    }
    out += "\n";
  }
  out += fmt::format("{:<40}", "mean of the rows");
  for (const PolicyReport& p : report.policies) {
    out += fmt::format("  {:>{}}", points(p.mean), kColumn);
  }
  return out + "\n";
}

}  // namespace

Report make_report(std::span<const ResultLine> lines) {
  using Key = std::pair<std::string, std::string>;
  std::vector<Key> order;
  std::map<Key, std::vector<const ResultLine*>> by_policy;
  for (const ResultLine& l : lines) {
    const Key key{l.policy, l.mode};
    if (by_policy[key].empty()) order.push_back(key);
    by_policy[key].push_back(&l);
  }
  Report out;
  for (const Key& key : order) out.policies.push_back(policy_report(by_policy[key]));
  for (size_t i = 1; i < out.policies.size(); ++i) {
    out.against_first.push_back(compare_policies(out.policies[0], out.policies[i]));
  }
  return out;
}

std::string report_text(const Report& report) {
  if (report.policies.empty()) return "no results\n";
  std::string out;
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const PolicyReport& p = report.policies[i];
    out += fmt::format("({}) {}, {}\n", i + 1, p.policy, p.mode);
    out += fmt::format(
        "    prefill {:.0f} tok/s, decode {:.0f} tok/s, first token {:.2f} s (median), cache {}\n",
        p.cost.prefill_tokens_per_second, p.cost.decode_tokens_per_second,
        p.cost.first_token_seconds, human_bytes(double(p.cost.kv_bytes)));
    if (p.cost.cut > 0) {
      out += fmt::format("    {} of {} answers were cut at their most tokens\n", p.cost.cut,
                         p.cost.questions);
    }
  }
  out += "\n" + cell_rows(report);
  for (size_t i = 0; i < report.against_first.size(); ++i) {
    out += fmt::format("({}) against (1): {}\n", i + 2, report.against_first[i].verdict());
  }
  return out;
}

}  // namespace fathom::eval
