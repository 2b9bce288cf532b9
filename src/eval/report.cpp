#include "eval/report.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/memory.h"
#include "eval/needle_grid.h"
#include "eval/score/scorer.h"
#include "eval/task/task.h"

namespace fathom::eval {
namespace {

using Lines = std::vector<const ResultLine*>;

std::string task_name(const ResultLine& line) {
  return line.suite.empty() ? line.task : line.suite + "/" + line.task;
}

// Lines of one session by turn; nothing where turns are missing.
Lines whole_session(const Lines& lines) {
  Lines out(lines[0]->turns);
  for (const ResultLine* l : lines) {
    if (l->turn < out.size()) out[l->turn] = l;
  }
  if (std::count(out.begin(), out.end(), nullptr) > 0) return {};
  return out;
}

ScoredSession scored(const Lines& session, double (*score)(const QueryResult&)) {
  ScoredSession out;
  out.id = session[0]->id;
  for (const ResultLine* l : session) {
    out.scores.push_back(score(l->result));
    out.tasks.push_back(l->turn_task.empty() ? l->task : l->turn_task);
  }
  return out;
}

template <class Get>
std::optional<double> mean_of(const std::vector<Lines>& sessions, Get get) {
  double sum = 0;
  size_t n = 0;
  for (const Lines& session : sessions) {
    for (const ResultLine* l : session) {
      if (const std::optional<double> v = get(*l)) {
        sum += *v;
        ++n;
      }
    }
  }
  return n > 0 ? std::optional(sum / double(n)) : std::nullopt;
}

Cell make_cell(const std::vector<Lines>& sessions) {
  Cell c;
  c.task = task_name(*sessions[0][0]);
  c.length = sessions[0][0]->length;
  for (const Lines& s : sessions) {
    const auto all = [&](auto test) { return std::all_of(s.begin(), s.end(), test); };
    if (all([](const ResultLine* l) { return l->result.generated; })) {
      c.sessions.push_back(scored(s, [](const QueryResult& r) { return r.score; }));
    }
    if (all([](const ResultLine* l) { return l->result.chosen.has_value(); })) {
      c.choices.push_back(scored(s, [](const QueryResult& r) { return *r.chosen ? 1.0 : 0.0; }));
    }
    c.cut_contexts += s[0]->cut_tokens > 0;
    for (const ResultLine* l : s) {
      if (l->result.named) c.named.add(*l->result.named);
    }
  }
  c.summary = summarize(c.sessions);
  c.choice_summary = summarize(c.choices);
  using L = const ResultLine&;
  using Maybe = std::optional<double>;
  c.chance = mean_of(sessions, [](L l) { return Maybe(l.chance); }).value_or(0);
  c.choice_chance = mean_of(sessions, [](L l) {
                      return l.result.choices > 1 ? Maybe(1.0 / double(l.result.choices)) : Maybe();
                    }).value_or(1);
  c.gold_nll = mean_of(sessions, [](L l) { return l.result.gold_nll; });
  c.gold_kept = mean_of(sessions, [](L l) { return l.result.gold_kept; });
  c.gold_layers = mean_of(sessions, [](L l) { return l.result.gold_layers; });
  c.gold_fetched = mean_of(sessions, [](L l) { return l.result.gold_fetched; });
  return c;
}

Cost cost_of(const Lines& lines) {
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

std::vector<Cell> cells_of(const Lines& lines) {
  std::map<std::string, Lines> by_id;
  std::vector<std::string> order;
  for (const ResultLine* l : lines) {
    if (by_id[l->id].empty()) order.push_back(l->id);
    by_id[l->id].push_back(l);
  }
  std::map<std::pair<std::string, size_t>, size_t> known;
  std::vector<std::vector<Lines>> cells;
  for (const std::string& id : order) {
    const Lines session = whole_session(by_id[id]);
    if (session.empty()) continue;
    const auto key = std::make_pair(task_name(*session[0]), session[0]->length);
    const auto [it, is_new] = known.emplace(key, cells.size());
    if (is_new) cells.emplace_back();
    cells[it->second].push_back(session);
  }
  std::vector<Cell> out;
  for (const auto& sessions : cells) out.push_back(make_cell(sessions));
  return out;
}

std::string group_of(const std::string& task) {
  const size_t slash = std::min(task.find('/'), task.size());
  for (const TaskInfo& t : all_tasks()) {
    if (t.suite == task.substr(0, slash) && t.name == task.substr(std::min(slash + 1, task.size())))
      return std::string(capability_name(t.capability));
  }
  return "other";
}

Measure gate(const Cell& c) {
  if (!c.sessions.empty() && passes_gate(c.summary.mean, c.chance, Measure::kAnswer)) {
    return Measure::kAnswer;
  }
  if (!c.choices.empty() && passes_gate(c.choice_summary.mean, c.choice_chance, Measure::kChoice)) {
    return Measure::kChoice;
  }
  return Measure::kNone;
}

// Scores by the depth of what an answer needs, under the measure by which the cell is judged.
void add_depths(const Lines& lines, PolicyReport& policy) {
  for (Cell& c : policy.cells) {
    if (c.measure == Measure::kNone) continue;
    for (const ResultLine* l : lines) {
      if (l->depth < 0 || l->length != c.length || task_name(*l) != c.task) continue;
      const QueryResult& r = l->result;
      if (c.measure == Measure::kAnswer && r.generated) c.by_depth.emplace_back(l->depth, r.score);
      if (c.measure == Measure::kChoice && r.chosen) c.by_depth.emplace_back(l->depth, *r.chosen);
    }
  }
}

// Averages what counts.
void average_cells(PolicyReport& policy) {
  std::map<std::string, std::vector<const Cell*>> groups;
  std::vector<const Cell*> counted;
  for (const Cell& c : policy.cells) {
    if (c.measure == Measure::kNone || c.judged().empty()) continue;
    counted.push_back(&c);
    groups[group_of(c.task)].push_back(&c);
  }
  policy.counted = counted.size();
  policy.mean = mean_of_cells(counted);
  policy.groups.clear();
  for (const auto& [name, cells] : groups) policy.groups.emplace_back(name, mean_of_cells(cells));
}

// Tells each cell by what it is judged, as the first policy's decide.
void apply_gate(const PolicyReport& first, PolicyReport& policy) {
  for (Cell& c : policy.cells) {
    const Cell* reference = &first == &policy ? &c : find_cell(first, c);
    c.measure = reference ? gate(*reference) : Measure::kNone;
  }
  average_cells(policy);
}

std::vector<CheckResult> checks_of(std::span<const ResultLine> lines) {
  std::vector<CheckResult> out;
  for (const std::string_view check : {kClosedBook, kGoldRemoved}) {
    Lines of_check;
    for (const ResultLine& l : lines) {
      if (l.mode == check) of_check.push_back(&l);
    }
    for (const Cell& c : cells_of(of_check)) {
      if (!c.sessions.empty()) {
        out.push_back({std::string(check), c.task, c.length, c.summary.mean, c.chance});
      }
    }
  }
  return out;
}

}  // namespace

Estimate mean_of_cells(std::span<const Cell* const> cells) {
  std::vector<Estimate> means;
  for (const Cell* c : cells) means.push_back(c->judged_summary().mean);
  return mean_of_estimates(means);
}

Estimate mean_of_estimates(std::span<const Estimate> estimates) {
  const double n = double(std::max<size_t>(1, estimates.size()));
  double sum = 0, below = 0, above = 0;
  for (const Estimate& e : estimates) {
    sum += e.value;
    below += (e.value - e.interval.low) * (e.value - e.interval.low);
    above += (e.interval.high - e.value) * (e.interval.high - e.value);
  }
  return {sum / n, {(sum - std::sqrt(below)) / n, (sum + std::sqrt(above)) / n}};
}

std::string_view measure_name(Measure measure) {
  constexpr std::string_view kNames[] = {"none", "answer", "choice"};
  return kNames[static_cast<size_t>(measure)];
}

bool passes_gate(const Estimate& score, double chance, Measure measure) {
  return score.interval.low >= chance + 0.25 && (measure == Measure::kChoice || score.value >= 0.6);
}

const Cell* find_cell(const PolicyReport& policy, const Cell& like) {
  for (const Cell& c : policy.cells) {
    if (c.task == like.task && c.length == like.length) return &c;
  }
  return nullptr;
}

std::vector<size_t> lengths_of(const Report& report) {
  std::set<size_t> lengths;
  for (const PolicyReport& p : report.policies) {
    for (const Cell& c : p.cells) lengths.insert(c.length);
  }
  return {lengths.begin(), lengths.end()};
}

std::vector<std::string> modes_of(const Report& report) {
  std::vector<std::string> out;
  for (const PolicyReport& p : report.policies) {
    if (std::find(out.begin(), out.end(), p.mode) == out.end()) out.push_back(p.mode);
  }
  return out;
}

Report slice_report(const Report& report, size_t length, const std::string& mode) {
  Report out;
  out.margin = report.margin;
  for (const CostLine& l : report.costs) {
    // A prompt as long as the context is timed a little shorter, to leave room for what follows.
    if (l.length <= length && 2 * l.length > length) out.costs.push_back(l);
  }
  for (const ProseLine& l : report.prose) {
    if (l.length == length) out.prose.push_back(l);
  }
  for (const PolicyReport& p : report.policies) {
    if (p.mode != mode) continue;
    PolicyReport own;
    own.policy = p.policy;
    own.mode = p.mode;
    own.cost = p.cost;
    for (const Cell& c : p.cells) {
      if (c.length == length) own.cells.push_back(c);
    }
    if (own.cells.empty()) continue;
    average_cells(own);
    own.measured = summarize_costs(out.costs, own.policy);
    out.policies.push_back(std::move(own));
  }
  compare_policies(out);
  return out;
}

Report make_report(const ReportInput& input) {
  using Key = std::pair<std::string, std::string>;
  std::vector<Key> order;
  std::map<Key, Lines> by_policy;
  for (const ResultLine& l : input.lines) {
    if (l.mode == kClosedBook || l.mode == kGoldRemoved) continue;
    const Key key{l.policy, l.mode};
    if (by_policy[key].empty()) order.push_back(key);
    by_policy[key].push_back(&l);
  }
  Report out;
  out.margin = input.margin;
  out.prose.assign(input.prose.begin(), input.prose.end());
  out.costs.assign(input.costs.begin(), input.costs.end());
  out.accounts.assign(input.accounts.begin(), input.accounts.end());
  for (const Key& key : order) {
    PolicyReport& p = out.policies.emplace_back();
    p.policy = key.first;
    p.mode = key.second;
    p.cells = cells_of(by_policy[key]);
    p.cost = cost_of(by_policy[key]);
    p.measured = summarize_costs(input.costs, p.policy);
  }
  for (size_t i = 0; i < order.size(); ++i) {
    apply_gate(out.policies[0], out.policies[i]);
    add_depths(by_policy[order[i]], out.policies[i]);
  }
  out.checks = checks_of(input.lines);
  out.steadiness = steadiness_of(input.probes);
  out.needle_csv = needle_csv(needle_grid(input.lines));
  compare_policies(out);
  return out;
}

}  // namespace fathom::eval
