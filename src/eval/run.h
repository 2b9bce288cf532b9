// Running instances on a model: what it answers, how right that is, and what it cost.
//
// Ways to ask several questions over one context, never to be mixed in one figure:
//   multi-request  instruction and context are read once, blind to any question; every question
//                  runs on a fork of that cache and sees no other
//   multi-turn     one conversation; the cache of each generated answer is dropped, and the gold
//                  answer is read in its place ("golden context"), so that an early mistake does
//                  not make later turns unequal
//   multi-turn-own the same, but what the model wrote stays, with the end of its turn: what a user
//                  gets, mistakes and all
//   single         everything is read afresh for each question: only an upper bound
// Decoding is greedy, up to the turn's max_new, to the model's own end, or, for models without a
// chat template, to the first empty line. KEEP decides once, when the first prompt has been read
// (sequence.h), but for policies named "+reselect"; questions under a FETCH method are fed token by
// token, as decoding is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/controls.h"
#include "eval/instance.h"
#include "eval/named_items.h"
#include "eval/prompt.h"
#include "eval/task_score.h"

namespace fathom::eval {

struct QueryResult {
  std::string output;
  double score = 0;
  size_t read_tokens = 0;  // of the context too, at the first question that reads it
  double read_seconds = 0;
  double first_token_seconds = 0;  // from the question's tokens on
  size_t output_tokens = 0;
  double decode_seconds = 0;  // after the first token; of steps with other questions, its share
  size_t kv_bytes = 0;        // at the end of the answer
  bool cut = false;           // max_new ended the answer
  // Of needles: ROUGE-L between the answer and the needle, or its value alone where that is nearer.
  std::optional<double> rouge_l;
  std::optional<NamedItems> named;  // where values are asked for
  bool generated = true;  // false: only the gold answer was judged, and score says nothing

  // Forced: the gold answer in the place of the model's own.
  std::optional<double> gold_nll;  // mean -ln p of its tokens, of the first 64
  // Whether it is likelier than all other candidates; their number, it included.
  std::optional<bool> chosen;
  size_t choices = 0;
  // What the policy left of the gold spans, where there are any: tokens still in the cache when
  // the answer begins, mean over layers and heads; layers with a head that has all of them; and the
  // share that the steps of the gold answer read.
  std::optional<double> gold_kept, gold_layers, gold_fetched;
};

struct RunOptions {
  AskMode mode = AskMode::kMultiRequest;
  bool generate = true;                   // else only the gold answers are judged
  bool force = true;                      // judge the gold answers
  std::span<const Instance> others = {};  // that candidates may come from
};

// One result a turn; fewer where `progress` ended it early. Reports "reading" in tokens and
// "answering".
std::vector<QueryResult> run_instance(const Subject& subject, const Instance& instance,
                                      const RunOptions& options, const Progress& progress = {});

}  // namespace fathom::eval
