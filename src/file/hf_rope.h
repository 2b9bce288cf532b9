// The rotary embedding a config.json asks for, in GGUF's terms. Part of huggingface.cpp.
//
// Read: rope_theta with rope_scaling, and rope_parameters, which newer folders have instead (one,
// or one for each type of layer). Kinds: default, linear, yarn, llama3, longrope (also called su).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "file/json_text.h"
#include "file/metadata.h"

namespace fathom::file {

struct HfRope {
  int64_t dimensions = 0;  // of a head that turn
  double base = 0;
  std::optional<double> window_base;  // in the layers with a sliding window, where it is another
  std::vector<std::pair<std::string, Value>> scaling;  // GGUF keys behind "rope.scaling."
  // What frequencies are divided by, one number for each pair of turning values.
  std::vector<float> frequency_divisors;
  std::vector<float> long_factors, short_factors;
};

struct HfRopeDefaults {
  int64_t head_dim = 0;
  double base = 10000;
};

HfRope read_hf_rope(const JsonView& text, const HfRopeDefaults& defaults);

}  // namespace fathom::file
