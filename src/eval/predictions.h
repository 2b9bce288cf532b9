// Answers that any program gave, as JSON lines, and their scores.
//
// One object a line: `id`, `prediction` (a text, or a list of texts, one a turn) and `answer`. With
// one prediction `answer` is a text or a list of golds; with a list it is a list of as many, each a
// text or a list of golds. Optional: `options` (a list, or one list a turn), `suite`, `task`,
// `tasks` (one a turn). RULER's own output files, with `pred`, `outputs` and `index`, are read too.
// Files are untrusted; errors are Error(kBadFile) naming file, line and field.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/instance.h"
#include "eval/statistics.h"

namespace fathom::eval {

struct AnsweredTurn {
  std::string task;  // "": as the whole file
  std::string prediction;
  std::vector<std::string> golds;
  std::vector<std::string> options;
};

struct Answered {
  std::string id;
  std::string suite;  // as the line or its instance says; "": as the whole file
  std::vector<AnsweredTurn> turns;
};

// Lines without answers take them from the instance of the same id. Throws Error(kBadFile) where
// there is none, where the number of turns differs, or where an id comes twice.
std::vector<Answered> parse_predictions(std::string_view text, const std::string& source,
                                        std::span<const Instance> instances = {});

struct ScoredSession {
  std::string id;
  SessionScores scores;  // one a turn
  std::vector<std::string> tasks;
};

// Scores by the task that a turn names, else by `task`, of the line's suite, else of `suite` ("" is
// any). Throws
// Error(kUsage) for a task that has no scorer.
std::vector<ScoredSession> score_predictions(std::span<const Answered> answered,
                                             std::string_view suite, std::string_view task);

// What a file of scores says. Turns are numbered from 0.
struct ScoreSummary {
  Estimate mean;
  size_t sessions = 0, questions = 0;
  double design_effect = 1;                               // 1 unless all scores are 0 or 1
  std::vector<std::pair<std::string, Estimate>> by_task;  // where turns mix tasks
  std::vector<double> by_turn;                            // means of turn 1, 2, ...
  double drop() const;  // of the later turns against the first; 0 for single turns
};
ScoreSummary summarize(std::span<const ScoredSession> sessions);

// The sessions' scores, and those of another program on the same ids. Throws Error(kBadFile),
// naming `source`, where an id is missing in `second` or has another number of turns.
Comparison compare_sessions(std::span<const ScoredSession> first,
                            std::span<const ScoredSession> second, const std::string& source);

}  // namespace fathom::eval
