#include "eval/task_score.h"

#include <algorithm>

#include "eval/score/scorer.h"
#include "eval/score/text.h"

namespace fathom::eval {

double score_output(const Instance& instance, size_t turn, std::string_view output) {
  const Turn& t = instance.turns[turn];
  const ScorerInfo& scorer = scorer_of(instance.suite, instance.task_of(t));
  std::vector<std::string> rivals;
  for (size_t i = 0; i < instance.turns.size(); ++i) {
    if (i == turn || instance.task_of(instance.turns[i]) != instance.task_of(t)) continue;
    const auto& others = instance.turns[i].answers;
    rivals.insert(rivals.end(), others.begin(), others.end());
  }
  const std::string clean =
      cleans_output(instance.suite) ? clean_output(output) : std::string(output);
  return scorer.score({clean, t.answers, t.options, rivals});
}

std::optional<double> needle_rouge(const Instance& instance, size_t turn, std::string_view output) {
  const Turn& t = instance.turns[turn];
  if (instance.suite != "needle" || t.answers.empty()) return std::nullopt;
  // Of single lines ROUGE-Lsum is ROUGE-L.
  const auto one_line = [](std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
  };
  std::vector<std::string> golds = t.answers;
  for (const Span& s : t.gold) {
    golds.push_back(one_line(instance.context.substr(s.begin, s.end - s.begin)));
  }
  return score_rouge_lsum({one_line(std::string(output)), golds});
}

bool one_gold(const Instance& instance, size_t turn) {
  const Turn& t = instance.turns[turn];
  return t.answers.size() == 1 ||
         scorer_of(instance.suite, instance.task_of(t)).name != "recall_ci";
}

std::string gold_text(const Instance& instance, size_t turn) {
  const Turn& t = instance.turns[turn];
  std::string out;
  for (size_t i = 0; i < (one_gold(instance, turn) ? 1 : t.answers.size()); ++i) {
    out += (i == 0 ? "" : ", ") + t.answers[i];
  }
  return out;
}

}  // namespace fathom::eval
