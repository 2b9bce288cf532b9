// Results of runs as JSON lines, and what they say together. The report is a pure function of the
// lines: nothing is run again.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/account.h"
#include "eval/cost.h"
#include "eval/over_generation.h"
#include "eval/predictions.h"
#include "eval/prose.h"
#include "eval/run.h"
#include "eval/steadiness.h"

namespace fathom::eval {

struct ResultLine {
  std::string model, policy, mode;  // mode: an AskMode's name, or that of a check (below)
  std::string suite, task, id;      // of the instance
  std::string turn_task;            // of the turn; "": the instance's
  size_t length = 0;
  uint64_t seed = 0;  // of the instance
  size_t turn = 0, turns = 1;
  double depth = -1;      // of what the answer needs, 0 to 1; below 0: not in one place
  size_t cut_tokens = 0;  // of the context
  double chance = 0;      // of a right answer by guessing
  QueryResult result;
};

// Checks of a task with the first policy, in place of a way of asking: without the context, and
// without the gold spans in it. A model that still answers does not need what the task hides.
inline constexpr std::string_view kClosedBook = "closed-book";
inline constexpr std::string_view kGoldRemoved = "gold-removed";

std::string result_line(const ResultLine& line);
// Errors are Error(kBadFile) naming file, line and field.
std::vector<ResultLine> parse_results(std::string_view text, const std::string& source);

// Without sessions that lack turns, as an interrupt leaves them; of a turn that was answered twice
// only the last answer.
std::vector<ResultLine> complete_sessions(std::span<const ResultLine> lines);

// What a task is judged by, for a model and length: answers it writes, or the forced choice, or
// nothing, where the first policy does neither.
enum class Measure : uint8_t { kNone, kAnswer, kChoice };
std::string_view measure_name(Measure measure);

// The gate: the lower end of the interval lies 25 points above chance, and, for answers, 60 % are
// right.
bool passes_gate(const Estimate& score, double chance, Measure measure);

// The lines of one task and length under one policy.
struct Cell {
  std::string task;  // "suite/task"
  size_t length = 0;
  Measure measure = Measure::kNone;     // as the first policy decides
  std::vector<ScoredSession> sessions;  // answers; none where none were written
  ScoreSummary summary;                 // of them
  std::vector<ScoredSession> choices;   // forced, 0 or 1
  ScoreSummary choice_summary;
  double chance = 0, choice_chance = 0;                                  // means over questions
  std::optional<double> gold_nll, gold_kept, gold_layers, gold_fetched;  // means
  NamedSummary named;  // of answers to questions for values
  size_t cut_contexts = 0;
  std::vector<std::pair<double, double>> by_depth;  // depth, score

  // By what the cell is judged. REQUIRES: measure is not kNone.
  const std::vector<ScoredSession>& judged() const {
    return measure == Measure::kChoice ? choices : sessions;
  }
  const ScoreSummary& judged_summary() const {
    return measure == Measure::kChoice ? choice_summary : summary;
  }
};

// What one policy cost in the runs of the tasks.
struct Cost {
  double prefill_tokens_per_second = 0, decode_tokens_per_second = 0;
  double first_token_seconds = 0;  // median
  size_t kv_bytes = 0;             // most
  size_t questions = 0, cut = 0;   // answers that max_new ended
};

// Against the first policy, over the cells that count.
struct AgainstFirst {
  StratifiedComparison difference;
  std::optional<double> mcnemar;  // where there is one task, of single questions scored 0 or 1
  double p = 1, holm = 1;         // the test's, and corrected for the number of policies
  bool not_worse = false;         // by the report's margin
  std::string verdict;            // one sentence for people
};

// Of one policy in one way of asking: ways are never mixed.
struct PolicyReport {
  std::string policy, mode;
  std::vector<Cell> cells;
  size_t counted = 0;  // cells that count
  Estimate mean;       // of those: sessions within a task averaged, then tasks
  std::vector<std::pair<std::string, Estimate>> groups;  // the same by capability
  Cost cost;
  std::optional<CostSummary> measured;  // by the cost runs, at their longest length
  std::optional<AgainstFirst> against_first;
};

// Of one axis of cost: which policies nothing dominates.
struct Frontier {
  enum class Place : uint8_t { kOn, kDominated, kNotDistinguishable, kUnknown };
  std::string axis;                       // "kv_bytes", "first_token_seconds", "step_seconds"
  std::vector<Place> places;              // of each policy
  std::vector<std::optional<size_t>> by;  // who dominates
};

struct CheckResult {
  std::string check, task;
  size_t length = 0;
  Estimate score;
  double chance = 0;
};

struct Report {
  double margin = 0.02;                // of non-inferiority
  std::vector<PolicyReport> policies;  // the first is what others are compared with
  std::vector<Frontier> frontiers;     // none without cost runs
  std::vector<CheckResult> checks;
  std::string needle_csv;  // needle_grid.h
  std::optional<Steadiness> steadiness;
  std::vector<ProseLine> prose;
  std::vector<CostLine> costs;
  std::vector<AccountLine> accounts;
};

struct ReportInput {
  std::span<const ResultLine> lines;
  std::span<const ProseLine> prose = {};
  std::span<const CostLine> costs = {};
  double margin = 0.02;
  std::span<const AccountLine> accounts = {};
  std::span<const ProbeLine> probes = {};
};
// Sessions that lack turns are left out.
Report make_report(const ReportInput& input);

// What make_report() does last: differences against the first policy, and frontiers.
void compare_policies(Report& report);

// What the report says of one length and one way of asking, as if nothing else had been asked:
// means, costs at that length, differences and frontiers. Policies that were not asked there are
// left out.
Report slice_report(const Report& report, size_t length, const std::string& mode);
// Lengths of questions, ascending; and ways of asking, in the order in which they appear.
std::vector<size_t> lengths_of(const Report& report);
std::vector<std::string> modes_of(const Report& report);

// Cells count alike; their distances to their limits add as squares (MOVER, Zou and Donner 2008),
// which stays honest where a cell is all right or all wrong.
Estimate mean_of_cells(std::span<const Cell* const> cells);
Estimate mean_of_estimates(std::span<const Estimate> estimates);

// Of a cell among other policies' cells; null: none.
const Cell* find_cell(const PolicyReport& policy, const Cell& like);

std::string report_text(const Report& report);
std::string prose_text(std::span<const ProseLine> prose);
// The part of report_text() that says what policies cost.
std::string cost_text(const Report& report);
nlohmann::ordered_json report_json(const Report& report);

}  // namespace fathom::eval
