// A short search for the cache policy that answers fastest within a memory limit and a limit on
// what it costs, on the user's own model.
//
// Memory is computed for the asked length. Loss and speed are measured at a length that the time
// for the search allows, with budgets scaled to it in proportion; both lengths are in the result.
// A stage is searched after the other: stores that fit, then ways to read the prompt, then what
// decoding reads; a change is taken where it is at least 5% faster and within the limit.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/progress.h"
#include "engine/engine.h"
#include "eval/statistics.h"

namespace fathom::eval {

struct RecommendOptions {
  size_t length = 4096;   // tokens that will be read
  size_t memory = 0;      // bytes that the program may take: weights, scratch, cache
  double loss = 0.01;     // most rise of perplexity, as a share
  size_t generate = 256;  // tokens of a reply, to weigh writing against reading
  double seconds = 180;   // about how long the search may take
  size_t windows = 6;     // texts that policies are compared on, at most
  std::string text;       // the user's own; "": generated prose
};

// What changes with the length: budgets are shares of the text.
struct Candidate {
  std::string store = "auto", prefill = "dense";
  double keep = 1, fetch = 1;  // share of tokens kept (streaming) and of keys read (quest)

  std::string line(size_t length) const;
};

enum class Verdict : uint8_t { kChosen, kWithin, kTooLarge, kTooLossy };

struct Evidence {
  Candidate candidate;
  std::string policy;                      // for the asked length, as it would be typed
  size_t cache_bytes = 0;                  // most, at the asked length
  bool measured = false;                   // nothing below is known otherwise
  Estimate text;                           // rise of perplexity, as a share: in running text,
  Estimate facts;                          // and where facts from all over the text are repeated
  double kl = 0;                           // mean, of the repeated facts' tokens
  double same_top = 1;                     // share of positions with the same most likely token
  double read_speed = 0, write_speed = 0;  // tokens a second
  Verdict verdict = Verdict::kWithin;
  std::string reason;

  double loss() const;  // the larger upper end of the two intervals
  double seconds(const RecommendOptions& options) const;  // of reading and a reply
};

struct Recommendation {
  std::string policy;          // "": nothing fits within both limits
  size_t measured_length = 0;  // tokens of a window
  size_t windows = 0;
  bool own_text = false;
  size_t fixed_bytes = 0;  // weights and scratch
  std::vector<Evidence> evidence;
  bool complete = true;  // false: ended early
};

// `engine` has the model; its own policy does not matter. Reports "comparing" in texts. Throws
// Error(kUsage) for a text that is too short, Error(kOutOfMemory) where weights alone are too much.
Recommendation recommend(const engine::Engine& engine, const RecommendOptions& options,
                         const Progress& progress = {});

}  // namespace fathom::eval
