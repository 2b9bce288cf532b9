// What shows that a task asks for the context, and for what is hidden in it.
#pragma once

#include <span>
#include <vector>

#include "engine/engine.h"
#include "eval/divergence.h"
#include "eval/instance.h"

namespace fathom::eval {

// The questions alone: whoever answers them knew it before.
Instance without_context(Instance instance);
// The context without its gold spans: whoever answers has guessed.
Instance without_gold(Instance instance);

// The share of right answers by guessing among what a turn offers; 0 where that is endless.
double chance_of(const Instance& instance, const Turn& turn);

// Where in the context the answer lies, 0 to 1: the needle's depth, or that of a single gold span;
// below 0 where it is in several places.
double depth_of(const Instance& instance, const Turn& turn);

// Questions of instances of this length with the right answers behind them, at most `count`; facts
// in a small model's wording first.
std::vector<ForcedText> answer_windows(const engine::Engine& engine,
                                       std::span<const Instance> instances, size_t length,
                                       size_t count);

}  // namespace fathom::eval
