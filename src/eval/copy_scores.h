// Retrieval heads by what they copy (Wu et al., 2024, arXiv:2404.15574): which heads look, when a
// token of an answer is written, most at the same token in the fact that the answer is taken from.
//
// The right answer is forced, so that every step is one at which the model should copy; texts of
// which it would have written less than half of the tokens itself do not count.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/progress.h"
#include "engine/engine.h"
#include "eval/attention_rows.h"
#include "eval/divergence.h"

namespace fathom::eval {

// Texts of `length` tokens with a fact that is asked for, at places spread over the text; fewer
// where they do not fit into the context.
std::vector<ForcedText> copy_texts(const engine::Engine& engine, uint64_t seed, size_t length,
                                   size_t count);

// By query head of one layer: of the answer's tokens that stand in the fact, the share that the
// head, writing them, looks at most. `layer.q`: of tokens [answer - 1, tokens - 1).
std::vector<double> copied_shares(const LayerAttention& layer, const ForcedText& text);

struct CopyScores {
  std::vector<std::vector<double>> heads;  // [layers][heads], means over the texts that count
  size_t texts = 0, counted = 0;
};
// Reports "copying" in texts; nothing where a report ended it. REQUIRES: a dense runner.
std::optional<CopyScores> score_copying(engine::Runner& runner, std::span<const ForcedText> texts,
                                        const Progress& progress = {});

}  // namespace fathom::eval
