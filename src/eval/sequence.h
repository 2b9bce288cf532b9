// Sequences of an engine, fed and decoded several at a time: what the evaluation runs on.
//
// KEEP decides once, at the end of read(); what is appended later does not make it choose again,
// as the published protocols want it, unless the sequence reselects after turns. Where the policy
// has a FETCH method, appended tokens go through the decode path one by one, so that it answers for
// the question too.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace fathom::eval {

class Sequence {
 public:
  enum class AfterTurns : uint8_t { kLeave, kReselect };
  explicit Sequence(engine::Engine& engine, AfterTurns after = AfterTurns::kLeave);

  const std::vector<engine::TokenId>& tokens() const { return tokens_; }
  const std::vector<float>& logits() const { return logits_; }  // of the last token
  const kv::SequenceCache& cache() const { return cache_; }

  // A prompt, at whose end KEEP decides. False where `progress` ended it early.
  bool read(std::span<const engine::TokenId> tokens, const Progress& progress = {});
  void append(std::span<const engine::TokenId> tokens);
  // The same for a turn of a conversation: at its end KEEP chooses again where it reselects.
  void append_turn(std::span<const engine::TokenId> tokens);
  // Forgets what lies behind the first `length` tokens; something must be appended then.
  void truncate(size_t length);
  Sequence fork() const;

 private:
  friend class Together;
  Sequence(engine::Engine& engine, kv::SequenceCache cache, AfterTurns after);

  engine::Engine* engine_;
  kv::SequenceCache cache_;
  AfterTurns after_;
  std::vector<engine::TokenId> tokens_;
  std::vector<float> logits_;
};

// Several sequences in the same steps.
class Together {
 public:
  Together(engine::Engine& engine, std::span<Sequence> sequences)
      : engine_(engine), sequences_(sequences) {}

  // -ln p of each of the tokens behind its sequence, which is left longer by all but the last of
  // them.
  std::vector<std::vector<double>> surprises(std::span<const std::vector<engine::TokenId>> tokens);

  struct Answer {
    std::string text;
    std::vector<engine::TokenId> tokens;  // without the model's end
    double seconds = 0;                   // its share of the steps after the first token
    bool cut = false;                     // ended by `most`
  };
  // Greedy decoding of each, to the model's end, a stop string or `most` tokens.
  std::vector<Answer> answer(std::span<const size_t> most, const std::vector<std::string>& stops,
                             const Progress& progress);

 private:
  // One token behind each of these; fills their logits.
  void step(std::span<const size_t> which, std::span<const engine::TokenId> tokens);

  engine::Engine& engine_;
  std::span<Sequence> sequences_;
};

// The most likely token; ties go to the lowest id.
engine::TokenId likeliest(std::span<const float> logits);
// -ln p(token) under the softmax of the logits.
double surprise(std::span<const float> logits, engine::TokenId token);

}  // namespace fathom::eval
