// config.json of a Hugging Face folder as GGUF metadata. Part of huggingface.cpp, which is the
// interface.
//
// Every value that decides what the model computes is either translated or refused: an activation,
// a RoPE scaling or a quantisation that is not known is an error that names it, never a guess.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "file/json_text.h"
#include "file/metadata.h"

namespace fathom::file {

struct HfConfig {
  std::string_view arch;  // GGUF's name: "llama", "qwen2", ...
  uint64_t layers = 0;
  uint64_t vocabulary = 0;  // 0: the file does not say
  std::optional<bool> tied_embeddings;
  // Divisors of RoPE's frequencies, as GGUF has them in tensors; empty where there are none.
  std::vector<float> rope_freqs;                             // llama3
  std::vector<float> rope_factors_long, rope_factors_short;  // longrope

  // Gemma's norms multiply by 1 + weight; GGUF has the 1 in the weight.
  bool gemma() const { return arch == "gemma2" || arch == "gemma3"; }
};

// Adds the model's keys to `out`, all but the vocabulary's.
HfConfig read_hf_config(const JsonView& config, Metadata& out);

}  // namespace fathom::file
