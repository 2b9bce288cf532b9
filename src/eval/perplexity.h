// Perplexity of a text, cut the way llama.cpp's llama-perplexity cuts it, so that figures compare:
// consecutive chunks of `chunk` tokens, each read in a fresh cache; the second half of a chunk is
// scored, so that every scored token has at least half a chunk before it. A rest is left out.
#pragma once

#include <fathom/options.h>

#include <span>

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

}  // namespace fathom::eval
