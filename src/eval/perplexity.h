// Perplexity of a text, cut the way llama.cpp's llama-perplexity cuts it, so that figures compare:
// consecutive chunks of `chunk` tokens, each read in a fresh cache; the second half of a chunk is
// scored, so that every scored token has at least half a chunk before it. A rest is left out.
#pragma once

#include <fathom/options.h>

#include <span>
#include <vector>

#include "engine/engine.h"

namespace fathom::eval {

struct Perplexity {
  double value = 0;           // e^(mean negative log-likelihood)
  double standard_error = 0;  // of `value`
  size_t scored = 0;          // tokens
  size_t chunks = 0;
};

// Reports "scoring" in tokens. Throws Error(kUsage) where the text is shorter than a chunk.
Perplexity perplexity(engine::Engine& engine, std::span<const engine::TokenId> tokens, size_t chunk,
                      const Progress& progress = {});

// A piece of a text that is read as one sequence.
struct StreamSegment {
  size_t end = 0;             // tokens of the text up to its end
  double perplexity = 0;      // of its tokens
  double seconds = 0;         // of reading them; scoring is left out
  size_t kv_bytes = 0;        // of the cache at its end
  size_t resident_bytes = 0;  // of the process
};

// Reads the text as one sequence in steps of the runner's batch, as if it had been written so far,
// and scores every token but the first; a policy that evicts while decoding is asked all along.
// Segments are `segment` tokens long, rounded to steps. Reports "scoring" in tokens; what was read
// before an early end is returned. Throws Error(kTooLong) beyond the context.
std::vector<StreamSegment> stream_perplexity(engine::Engine& engine,
                                             std::span<const engine::TokenId> tokens,
                                             size_t segment, const Progress& progress = {});

}  // namespace fathom::eval
