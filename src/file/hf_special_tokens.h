// Which tokens of a Hugging Face folder begin, end and pad texts, and its chat template, as GGUF
// metadata. Part of huggingface.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "file/hf_tokenizer.h"

namespace fathom::file {

void read_special_tokens(const HfTokenizerFiles& files,
                         const std::unordered_map<std::string, int64_t>& ids, Metadata& out);

}  // namespace fathom::file
