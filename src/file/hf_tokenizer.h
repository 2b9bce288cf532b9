// The vocabulary of a Hugging Face folder as GGUF metadata (tokenizer.*). Part of huggingface.cpp.
//
// tokenizer.json holds the vocabulary and how text is split; tokenizer_config.json,
// special_tokens_map.json, generation_config.json and config.json say which tokens are special, in
// that order of precedence. Known are BPE models, byte-level ("gpt2") and with byte fallback
// ("llama"); others are refused by name.
//
// For "llama" GGUF wants a score for each token, and the best pair is the one whose result scores
// highest. The scores here are minus the rank of the first merge that makes the token, so pairs are
// merged in the order of tokenizer.json; tokens that no merge makes score below all others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "file/json_text.h"
#include "file/metadata.h"

namespace fathom::file {

// Parsed files; nullopt where the folder has none.
struct HfTokenizerFiles {
  JsonView tokenizer;
  JsonView config;  // config.json
  std::optional<JsonView> tokenizer_config, special_tokens_map, generation_config;
  std::string chat_template;  // chat_template.jinja, empty where there is none
};

// `vocabulary`: rows of the embedding; 0 where it is not known. Rows without a token get one of the
// kind "unused"; added tokens beyond the rows are left out.
void read_hf_tokenizer(const HfTokenizerFiles& files, uint64_t vocabulary, Metadata& out);

}  // namespace fathom::file
