// Results of runs as JSON lines, one a question, and what they say together. The report is a pure
// function of the lines: nothing is run again.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/predictions.h"
#include "eval/run.h"

namespace fathom::eval {

struct ResultLine {
  std::string model, policy, mode;
  std::string suite, task, id;  // of the instance
  std::string turn_task;        // of the turn; "": the instance's
  size_t length = 0;
  uint64_t seed = 0;  // of the instance
  size_t turn = 0, turns = 1;
  QueryResult result;
};

std::string result_line(const ResultLine& line);
// Errors are Error(kBadFile) naming file, line and field.
std::vector<ResultLine> parse_results(std::string_view text, const std::string& source);

// Without sessions that lack turns, as an interrupt leaves them; of a turn that was answered twice
// only the last answer.
std::vector<ResultLine> complete_sessions(std::span<const ResultLine> lines);

// The lines of one task and length.
struct Cell {
  std::string task;  // "suite/task"
  size_t length = 0;
  std::vector<ScoredSession> sessions;
  ScoreSummary summary;
};

// What one policy cost, over all its questions.
struct Cost {
  double prefill_tokens_per_second = 0, decode_tokens_per_second = 0;
  double first_token_seconds = 0;  // median
  size_t kv_bytes = 0;             // most
  size_t questions = 0, cut = 0;   // answers that max_new ended
};

// Of one policy in one way of asking: ways are never mixed.
struct PolicyReport {
  std::string policy, mode;
  std::vector<Cell> cells;
  Estimate mean;  // of all tasks: sessions within a task averaged, then tasks
  Cost cost;
};

struct Report {
  std::vector<PolicyReport> policies;  // the first is what others are compared with
  // Of each but the first, on the sessions that both answered.
  std::vector<Comparison> against_first;
};
// Sessions that lack turns are left out.
Report make_report(std::span<const ResultLine> lines);

std::string report_text(const Report& report);

}  // namespace fathom::eval
