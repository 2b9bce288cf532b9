// What of a model decides whether published effects can show on it at all: its size, how much its
// heads attend to the first token, and how far single channels of its keys stick out. And what a
// report of a small model says beside its figures.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace fathom::eval {

struct ModelTraits {
  size_t parameters = 0;
  size_t head_dim = 0;
  size_t tokens = 0;  // of generated prose that were read
  double even = 0;    // weight of a token if all had the same, mean
  // By layer: the first token's attention weight, mean over query heads and queries of the text's
  // second half; nothing for layers with a window.
  std::vector<std::optional<double>> sink_mass;
  // By layer: the largest channel of the keys over the median one, by mean |k|; of the kv head
  // where that is most.
  std::vector<double> channel_ratio;
};

// Reads a text with dense attention. REQUIRES: the engine's policy reads prompts densely.
ModelTraits measure_traits(engine::Engine& engine);

// The member "traits" of what a report knows of a run.
nlohmann::ordered_json traits_json(const ModelTraits& traits);

// What a report of a small model (below a thousand million parameters) says: nothing for larger
// ones, or where `run` has no sound "traits".
struct Caveats {
  std::string title;
  std::vector<std::string> measured, caveats;  // sentences
};
std::optional<Caveats> caveats_of(const nlohmann::ordered_json& run);
// The same for a terminal, or as Markdown; "" for nothing.
std::string caveats_text(const nlohmann::ordered_json& run);

}  // namespace fathom::eval
