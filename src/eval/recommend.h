// A search for the cache policy that answers fastest within a memory limit and a limit on what it
// costs, on the user's own model, in bounded time.
//
// Memory is computed for the asked length. Loss is measured on texts as long as the time allows,
// with budgets in the same proportion; so is speed, and attention besides by itself at the asked
// length (recommend_speed.h). First every single change of a base is tried on
// one text, what promises most before the rest; then the best, and combinations of them, on more
// texts, until these or the time are at their end.
#pragma once

#include <string>
#include <vector>

#include "base/progress.h"
#include "engine/engine.h"
#include "eval/recommend_candidates.h"
#include "eval/statistics.h"

namespace fathom::eval {

struct RecommendOptions {
  size_t length = 4096;   // tokens that will be read
  size_t memory = 0;      // bytes that the program may take: weights, scratch, cache
  double loss = 0.01;     // most rise of perplexity, as a share
  size_t generate = 256;  // tokens of a reply, to weigh writing against reading
  double seconds = 300;   // the search ends by then; two short texts under the base are the least
  size_t windows = 6;     // texts that policies are compared on, at most
  size_t changes = 100;   // single changes that are tried, at most
  std::string text;       // the user's own; "": generated prose
};

// Perplexity says nothing of a model that does not find facts again with dense attention either. It
// is then judged by how far predictions move: e^KL - 1 is what perplexity would rise by if the text
// were what dense attention itself predicts.
enum class Judge : uint8_t { kPerplexity, kDivergence };

enum class Verdict : uint8_t { kChosen, kWithin, kTooLarge, kTooLossy, kRefused, kUnfinished };

struct Evidence {
  Candidate candidate;
  std::string policy;      // for the asked length, as it would be typed
  size_t cache_bytes = 0;  // most, at the asked length
  size_t texts = 0;        // measured on so many; nothing below is known without one
  Estimate text, facts;    // rise of perplexity, as a share: in running text, and where facts from
                           // all over the text are repeated
  Estimate kl_text, kl_facts;  // mean divergence there, nats
  double same_top = 1;         // share of positions with the same most likely token
  double measured_read = 0, measured_step = 0;    // seconds, at the measured length
  double read_seconds = 0, step_seconds = 0;      // at the asked one
  double read_attention = 0, step_attention = 0;  // of these seconds, where timed_length is not 0
  Verdict verdict = Verdict::kUnfinished;
  std::string reason;

  double loss(Judge judge) const;         // upper ends of the 95% intervals, the larger
  double likely_loss(Judge judge) const;  // the same of their middles
  double seconds(const RecommendOptions& options) const;  // of reading and a reply
};

struct Recommendation {
  std::string policy;          // "": nothing fits within both limits
  size_t measured_length = 0;  // tokens of a text
  size_t timed_length = 0;     // that attention was timed at; 0: the texts are as long as asked
  size_t windows = 0;          // texts that the best were compared on
  bool own_text = false;
  Judge judge = Judge::kPerplexity;
  double facts_gain = 0;   // nats a token by which facts are likelier where the text has them
  size_t fixed_bytes = 0;  // weights and scratch
  double seconds = 0;      // that the search took
  std::vector<Evidence> evidence;
  bool complete = true;  // false: ended early by `progress`
};

// `engine` has the model; its own policy does not matter. Reports "searching" in seconds of
// options.seconds. Throws Error(kUsage) for a text that is too short, Error(kOutOfMemory) where
// weights alone are too much.
Recommendation recommend(const engine::Engine& engine, const RecommendOptions& options,
                         const Progress& progress = {});

}  // namespace fathom::eval
