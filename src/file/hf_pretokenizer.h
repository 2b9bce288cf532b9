// How a tokenizer.json prepares text before merging. Part of huggingface.cpp.
//
// Two worlds are known. Byte-level vocabularies split the text by regular expressions and then
// spell every byte as a printable character. SentencePiece-like vocabularies replace spaces by
// U+2581 and do not split. What cannot be said in those terms is Error(kUnsupported) that names it.
#pragma once

#include <string>
#include <vector>

#include "file/json_text.h"

namespace fathom::file {

struct PreTokenizer {
  bool byte_level = false;
  // Byte-level: expressions in order. Each splits every piece that the former left into its matches
  // and what lies between them.
  std::vector<std::string> patterns;
  std::string normalizer;     // "nfc", or empty
  bool prefix_space = false;  // a space is put before the text
};

// `tokenizer` is the whole of tokenizer.json.
PreTokenizer read_pretokenizer(const JsonView& tokenizer);

}  // namespace fathom::file
