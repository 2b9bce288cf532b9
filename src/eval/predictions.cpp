#include "eval/predictions.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "eval/json_lines.h"
#include "eval/score/scorer.h"
#include "eval/score/text.h"

namespace fathom::eval {
namespace {

using file::JsonView;
using ById = std::map<std::string_view, const Instance*>;

std::optional<JsonView> first_of(const JsonView& object, const char* name, const char* other) {
  const auto found = object.find(name);
  return found ? found : object.find(other);
}

JsonView require_either(const JsonView& object, const char* name, const char* other) {
  if (const auto found = first_of(object, name, other)) return *found;
  throw bad_file(object.source(), "'{}' is missing", name);
}

// The i-th turn's member of a list that must have one for each turn.
JsonView of_turn(const JsonView& list, size_t i, size_t turns) {
  if (!list.is_array() || list.size() != turns) {
    throw bad_field(list, fmt::format("must be a list of {}, one a prediction", turns));
  }
  return list.element(i);
}

Strings texts(const JsonView& list) {
  Strings out;
  for (size_t i = 0; i < list.size(); ++i) out.push_back(list.element(i).as_text());
  return out;
}

void read_many(const JsonView& object, const JsonView& predictions, Answered& out) {
  const size_t turns = predictions.size();
  if (turns == 0) throw bad_field(predictions, "is an empty list");
  const auto answers = first_of(object, "answer", "outputs"), options = object.find("options"),
             tasks = object.find("tasks");
  for (size_t i = 0; i < turns; ++i) {
    AnsweredTurn& turn = out.turns.emplace_back();
    turn.prediction = predictions.element(i).as_text();
    turn.task = object.text("task").value_or("");
    if (answers) turn.golds = gold_list(of_turn(*answers, i, turns));
    if (options) turn.options = texts(of_turn(*options, i, turns));
    if (tasks) turn.task = of_turn(*tasks, i, turns).as_text();
  }
}

void read_one(const JsonView& object, const JsonView& prediction, Answered& out) {
  AnsweredTurn& turn = out.turns.emplace_back();
  turn.prediction = prediction.as_text();
  turn.task = object.text("task").value_or("");
  if (const auto answer = first_of(object, "answer", "outputs")) turn.golds = gold_list(*answer);
  turn.options = options_of(object);
}

void take_from_instance(const JsonView& object, const ById& instances, Answered& out) {
  const auto it = instances.find(out.id);
  if (it == instances.end()) {
    throw with_hint(bad_file(object.source(), "has no 'answer'"),
                    "give the file of instances (--instances), or an answer in every line");
  }
  const Instance& instance = *it->second;
  if (instance.turns.size() != out.turns.size()) {
    throw bad_file(object.source(), "has {} predictions; '{}' has {} turns", out.turns.size(),
                   out.id, instance.turns.size());
  }
  if (out.suite.empty()) out.suite = instance.suite;
  for (size_t i = 0; i < out.turns.size(); ++i) {
    const Turn& turn = instance.turns[i];
    out.turns[i].golds = turn.answers;
    out.turns[i].options = turn.options;
    if (out.turns[i].task.empty()) out.turns[i].task = instance.task_of(turn);
  }
}

ById by_id(std::span<const Instance> instances) {
  ById out;
  for (const Instance& i : instances) out.emplace(i.id, &i);
  return out;
}

// The other functions asked in the same repository: what a RepoQA answer must not resemble more.
Strings rivals(const Answered& session, size_t turn, const std::string& task) {
  Strings out;
  for (size_t i = 0; i < session.turns.size(); ++i) {
    if (i == turn || session.turns[i].task != task) continue;
    out.insert(out.end(), session.turns[i].golds.begin(), session.turns[i].golds.end());
  }
  return out;
}

double score_turn(const Answered& session, size_t i, std::string_view suite,
                  std::string_view task) {
  const AnsweredTurn& turn = session.turns[i];
  const ScorerInfo& scorer = scorer_of(suite, turn.task.empty() ? task : turn.task);
  const std::string output = cleans_output(suite) ? clean_output(turn.prediction) : turn.prediction;
  const Strings others = rivals(session, i, turn.task);
  return scorer.score({output, turn.golds, turn.options, others});
}

}  // namespace

std::vector<Answered> parse_predictions(std::string_view text, const std::string& source,
                                        std::span<const Instance> instances) {
  const ById known = by_id(instances);
  std::vector<Answered> out;
  std::set<std::string> seen;
  each_json_line(text, source, [&](const JsonView& object) {
    Answered& answered = out.emplace_back();
    answered.id = name_of(object, object.find("id") ? "id" : "index");
    answered.suite = object.text("suite").value_or("");
    if (answered.id.empty()) answered.id = std::to_string(out.size() - 1);
    if (!seen.insert(answered.id).second) {
      throw bad_file(object.source(), "has the id '{}' for the second time", answered.id);
    }
    const JsonView prediction = require_either(object, "prediction", "pred");
    if (prediction.is_array()) {
      read_many(object, prediction, answered);
    } else {
      read_one(object, prediction, answered);
    }
    if (answered.turns[0].golds.empty()) take_from_instance(object, known, answered);
  });
  return out;
}

std::vector<ScoredSession> score_predictions(std::span<const Answered> answered,
                                             std::string_view suite, std::string_view task) {
  std::vector<ScoredSession> out;
  for (const Answered& session : answered) {
    ScoredSession& scored = out.emplace_back();
    scored.id = session.id;
    for (size_t i = 0; i < session.turns.size(); ++i) {
      const std::string_view own_suite = session.suite.empty() ? suite : session.suite;
      scored.scores.push_back(score_turn(session, i, own_suite, task));
      const std::string& own = session.turns[i].task;
      scored.tasks.push_back(own.empty() ? std::string(task) : own);
    }
  }
  return out;
}

double ScoreSummary::drop() const {
  if (by_turn.size() < 2) return 0;
  double later = 0;
  for (size_t i = 1; i < by_turn.size(); ++i) later += by_turn[i];
  return by_turn[0] - later / double(by_turn.size() - 1);
}

ScoreSummary summarize(std::span<const ScoredSession> sessions) {
  ScoreSummary out;
  std::vector<SessionScores> all;
  std::map<std::string, std::vector<SessionScores>> tasks;
  std::vector<std::pair<double, double>> turns;  // sum, count
  bool binary = true;
  for (const ScoredSession& s : sessions) {
    all.push_back(s.scores);
    std::map<std::string, SessionScores> own;
    for (size_t i = 0; i < s.scores.size(); ++i) {
      own[s.tasks[i]].push_back(s.scores[i]);
      if (turns.size() <= i) turns.emplace_back();
      turns[i].first += s.scores[i];
      turns[i].second += 1;
      binary = binary && (s.scores[i] == 0 || s.scores[i] == 1);
    }
    for (auto& [task, scores] : own) tasks[task].push_back(std::move(scores));
    out.questions += s.scores.size();
  }
  out.sessions = sessions.size();
  out.mean = mean_score(all);
  if (binary) out.design_effect = design_effect(all);
  for (const auto& [task, scores] : tasks) {
    if (tasks.size() > 1) out.by_task.emplace_back(task, mean_score(scores));
  }
  for (const auto& [sum, count] : turns) out.by_turn.push_back(sum / count);
  return out;
}

Comparison compare_sessions(std::span<const ScoredSession> first,
                            std::span<const ScoredSession> second, const std::string& source) {
  std::map<std::string_view, const ScoredSession*> others;
  for (const ScoredSession& s : second) others.emplace(s.id, &s);
  std::vector<SessionScores> a, b;
  for (const ScoredSession& s : first) {
    const auto it = others.find(s.id);
    if (it == others.end() || it->second->scores.size() != s.scores.size()) {
      throw with_hint(
          bad_file(source, "does not answer the {} questions of '{}'", s.scores.size(), s.id),
          "runs are compared question by question: both need the same instances");
    }
    a.push_back(s.scores);
    b.push_back(it->second->scores);
  }
  return compare(a, b);
}

}  // namespace fathom::eval
