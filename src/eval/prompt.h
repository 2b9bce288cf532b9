// From an instance to the tokens that a model reads, and where in them the answer stands.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "eval/instance.h"

namespace fathom::eval {

// Ways to ask several questions over one context, never to be mixed in one figure; see run.h.
enum class AskMode : uint8_t { kMultiRequest, kMultiTurn, kSingle, kOwnTurns };
// `answers`: "golden" or "own". Throws Error(kUsage).
AskMode parse_ask_mode(std::string_view mode, std::string_view answers = "golden");
std::string_view ask_mode_name(AskMode mode);

// The prompt of a turn: with the earlier turns and their gold answers in a conversation.
std::vector<engine::TokenId> question_prompt(const engine::Engine& engine, const Instance& instance,
                                             size_t turn, AskMode mode);

// What a model said to a prompt.
struct OwnAnswer {
  std::vector<engine::TokenId> tokens;  // without the one that ended it
  std::string text;                     // may end within the last tokens, where a stop string began
};
// The prompt of a turn behind what the model itself answered to the one before: `prompt` and the
// answer as they were read and written, the turn's end, the question.
std::vector<engine::TokenId> prompt_after(const engine::Engine& engine, const Instance& instance,
                                          size_t turn, std::vector<engine::TokenId> prompt,
                                          const OwnAnswer& answer);

// Tokens that the prompts of an instance's turns begin with, before anything of a question.
size_t blind_prefix(const engine::Engine& engine, const Instance& instance,
                    std::vector<std::vector<engine::TokenId>> prompts);

// Tokens that the model's chat template adds to a session of so many turns.
size_t frame_tokens(const engine::Engine& engine, size_t turns);

// The tokens with which a prompt goes on before an answer that is forced; mostly none.
std::vector<engine::TokenId> lead_tokens(const engine::Engine& engine, const Turn& turn);
// The tokens with which a prompt, and what leads in, goes on to say `answer`.
std::vector<engine::TokenId> answer_tokens(const engine::Engine& engine, const Turn& turn,
                                           const std::string& answer);

// Where a turn's gold spans lie in a prompt that holds the context, in tokens. Empty where the
// context cannot be found in it.
std::vector<Span> gold_tokens(const engine::Engine& engine, const Instance& instance, size_t turn,
                              std::span<const engine::TokenId> prompt);

// Cuts the middle out of a context that makes a session longer than `limit` tokens, as SCBench and
// LongBench do: the first and the last half of what fits stay. What lay across the cut is no gold
// span any more. Returns the tokens that were cut. Throws Error(kTooLong) where the questions alone
// do not fit.
size_t cut_middle(const engine::Engine& engine, Instance& instance, size_t limit,
                  AskMode mode = AskMode::kMultiTurn);

}  // namespace fathom::eval
