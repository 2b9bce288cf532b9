#include <algorithm>
#include <vector>

#include "base/error.h"
#include "eval/score/scorer.h"
#include "kv/policy.h"

namespace fathom::eval {
namespace {

constexpr ScorerInfo kScorers[] = {
    {"contains", score_contains, "a gold is in the output, letter by letter"},
    {"contains_ci_any", score_contains_ci_any, "any gold is in the output, ignoring case"},
    {"recall_ci", score_recall_ci, "share of the golds in the output, ignoring case"},
    {"first_int", score_first_int, "the first run of digits is the gold"},
    {"first_num", score_first_num, "the first number equals the gold"},
    {"choice", score_choice, "the output decides for the gold option"},
    {"f1_char", score_f1_char, "F1 of characters, best gold"},
    {"f1_word", score_f1_word, "F1 of words, best gold"},
    {"rougeLsum", score_rouge_lsum, "ROUGE-Lsum F-measure, best gold"},
    {"bleu80", score_bleu80, "the function resembles the one asked for (BLEU 0.8), no other more"},
};

constexpr TaskScorer kTasks[] = {
    {"scbench", "kv", "contains"},
    {"scbench", "kv_words", "contains"},
    {"scbench", "prefix_suffix", "contains"},
    {"scbench", "vt", "recall_ci"},
    {"scbench", "repoqa", "bleu80"},
    {"scbench", "qa_eng", "contains_ci_any"},
    {"scbench", "qa_chn", "f1_char"},
    {"scbench", "choice_eng", "choice"},
    {"scbench", "mf", "first_num"},
    {"scbench", "many_shot", "contains_ci_any"},
    {"scbench", "many_shot_labels", "contains_ci_any"},
    {"scbench", "summary", "rougeLsum"},
    {"scbench", "passkey", "first_int"},  // the turns of summary_with_needles
    {"scbench", "needle", "first_int"},
    {"ruler", "niah_single_1", "recall_ci"},
    {"ruler", "niah_single_2", "recall_ci"},
    {"ruler", "niah_single_3", "recall_ci"},
    {"ruler", "niah_multikey_1", "recall_ci"},
    {"ruler", "niah_multikey_2", "recall_ci"},
    {"ruler", "niah_multikey_3", "recall_ci"},
    {"ruler", "niah_multivalue", "recall_ci"},
    {"ruler", "niah_multiquery", "recall_ci"},
    {"ruler", "vt", "recall_ci"},
    {"ruler", "cwe", "recall_ci"},
    {"ruler", "fwe", "recall_ci"},
    {"ruler", "qa_1", "contains_ci_any"},
    {"ruler", "qa_2", "contains_ci_any"},
    {"needle", "needle", "contains"},
    {"needle", "facts", "contains"},
};

std::string_view without_prefix(std::string_view task) {
  constexpr std::string_view kPrefix = "scbench_";
  return task.starts_with(kPrefix) ? task.substr(kPrefix.size()) : task;
}

}  // namespace

std::span<const ScorerInfo> all_scorers() { return kScorers; }

const ScorerInfo* find_scorer(std::string_view name) {
  for (const ScorerInfo& s : kScorers) {
    if (s.name == name) return &s;
  }
  return nullptr;
}

std::span<const TaskScorer> all_task_scorers() { return kTasks; }

const ScorerInfo& scorer_of(std::string_view suite, std::string_view task) {
  const std::string_view bare = without_prefix(task);
  std::vector<std::string_view> known;
  for (const TaskScorer& t : kTasks) {
    if (!suite.empty() && t.suite != suite) continue;
    if (t.task == bare) return *find_scorer(t.scorer);
    known.push_back(t.task);
  }
  if (bare == "repoqa_and_kv" || bare == "summary_with_needles") {
    throw with_hint(usage_error("task", "'{}' mixes two kinds of turns", task),
                    "each turn must name its own 'task'");
  }
  const std::string near = kv::nearest(bare, known);
  throw with_hint(
      usage_error("task", "'{}' is no task{}", task,
                  suite.empty() ? std::string() : fmt::format(" of {}", suite)),
      near.empty() ? "`fathom eval --list` shows all" : fmt::format("did you mean '{}'?", near));
}

bool cleans_output(std::string_view suite) { return suite == "ruler"; }

}  // namespace fathom::eval
