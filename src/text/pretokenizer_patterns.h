// What each name of GGUF's tokenizer.ggml.pre stands for, as the models' makers published it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace fathom::text {

struct PretokenizerFacts {
  std::string_view name;
  std::span<const std::string_view> patterns;  // applied in turn, see pretokenizer.h
  bool ignores_merges = false;  // a piece that is a token is that token, whatever the merges say
  bool adds_bos = false;        // where the file does not say
};

// "" is "default". nullptr where the name is not known.
const PretokenizerFacts* find_pretokenizer(std::string_view name);

std::span<const PretokenizerFacts> all_pretokenizers();

}  // namespace fathom::text
