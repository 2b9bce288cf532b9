// Running instances on a model: what it answers, how right that is, and what it cost.
//
// Three ways to ask several questions over one context, never to be mixed in one figure:
//   multi-request  instruction and context are read once, blind to any question; every question
//                  runs on a fork of that cache and sees no other
//   multi-turn     one conversation; the cache of each generated answer is dropped, and the gold
//                  answer is read in its place ("golden context"), so that an early mistake does
//                  not make later turns unequal
//   single         everything is read afresh for each question: only an upper bound
// Decoding is greedy, up to the turn's max_new, to the model's own end, or, for models without a
// chat template, to the first empty line.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/session.h"
#include "eval/instance.h"

namespace fathom::eval {

enum class AskMode : uint8_t { kMultiRequest, kMultiTurn, kSingle };
// Throws Error(kUsage).
AskMode parse_ask_mode(std::string_view name);
std::string_view ask_mode_name(AskMode mode);

struct QueryResult {
  std::string output;
  double score = 0;
  size_t read_tokens = 0;  // of the context too, at the first question that reads it
  double read_seconds = 0;
  double first_token_seconds = 0;  // from the question's tokens on
  size_t output_tokens = 0;
  double decode_seconds = 0;  // after the first token
  size_t kv_bytes = 0;        // at the end of the answer
  bool cut = false;           // max_new ended it
};

// The prompt that asks turn `turn`, the gold answers of earlier ones in it where `mode` is
// multi-turn.
std::vector<engine::TokenId> question_prompt(const engine::Engine& engine, const Instance& instance,
                                             size_t turn, AskMode mode);

// Tokens that the model's chat template adds to a session of `turns` turns.
size_t frame_tokens(const engine::Engine& engine, size_t turns);

// One result a turn; fewer where `progress` ended it early. Throws Error(kTooLong) where the
// instance does not fit into the context.
std::vector<QueryResult> run_instance(const std::shared_ptr<engine::Engine>& engine,
                                      const Instance& instance, AskMode mode,
                                      const Progress& progress = {});

// The score of an output, by the turn's task.
double score_output(const Instance& instance, size_t turn, std::string_view output);

}  // namespace fathom::eval
