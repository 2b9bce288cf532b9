// Scorers: how an answer is judged, by the rules that SCBench and RULER publish.
//
// All are pure and give a score in [0, 1]. Outputs and golds are untrusted text of any content;
// golds are always a list, so that a bare string is never taken for a list of characters.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace fathom::eval {

struct Judged {
  std::string_view output;
  std::span<const std::string> golds;  // alternatives, or for recall the wanted items; none empty
  std::span<const std::string> options = {};  // of a multiple choice, A first
  std::span<const std::string> rivals = {};   // other functions asked in the same repository
};

// 1 if a gold is a substring of the output.
double score_contains(const Judged& j);
// The same, ignoring case.
double score_contains_ci_any(const Judged& j);
// Share of the golds that are in the output, ignoring case.
double score_recall_ci(const Judged& j);
// 1 if the first maximal run of digits of the output is a gold.
double score_first_int(const Judged& j);
// 1 if the first number (digits, optionally a fraction) equals a gold; its integer part is compared
// where the gold is an integer.
double score_first_num(const Judged& j);
// 1 if the output decides for the gold option; see choice.cpp for how it is read.
double score_choice(const Judged& j);
// Best F1 over the golds: of words without case, punctuation and articles (SQuAD) ...
double score_f1_word(const Judged& j);
// ... and of characters without case, punctuation and spaces, for Chinese.
double score_f1_char(const Judged& j);
// Best ROUGE-Lsum F-measure over the golds (Lin 2004): union of longest common subsequences of
// each reference line with all lines of the output. Throws Error(kTooLong) where two lines of
// thousands of words meet.
double score_rouge_lsum(const Judged& j);
// RepoQA (Liu et al. 2024): 1 if the function in the output resembles the gold (BLEU >= 0.8), and
// none of the rivals more.
double score_bleu80(const Judged& j);

// Sentence BLEU of white-space tokens, 1- to 4-grams, with Chen and Cherry's smoothing 4 (2014).
double bleu(std::string_view candidate, std::string_view reference);
// The first fenced block of an output, or all of it; of that only the first function, where one is
// recognised by its braces or by `def`.
std::string_view first_function(std::string_view output);

using Scorer = double (*)(const Judged&);

struct ScorerInfo {
  std::string_view name;
  Scorer score;
  std::string_view rule;  // one line for people
};
std::span<const ScorerInfo> all_scorers();
const ScorerInfo* find_scorer(std::string_view name);

// Which scorer a task of a published benchmark uses. Names are the benchmarks' own
// ("niah_single_1", "kv"); SCBench's prefix "scbench_" may be left out. Tasks of mixed turns
// ("repoqa_and_kv") have a scorer for each turn's own task only.
struct TaskScorer {
  std::string_view suite;  // "scbench", "ruler", "needle"
  std::string_view task;
  std::string_view scorer;
};
std::span<const TaskScorer> all_task_scorers();
// Throws Error(kUsage) naming the nearest task where there is none of that name in the suite; ""
// looks in all suites.
const ScorerInfo& scorer_of(std::string_view suite, std::string_view task);
// Whether outputs of the suite are cleaned of control characters before they are judged.
bool cleans_output(std::string_view suite);

}  // namespace fathom::eval
