// A checkpoint's vocabulary as text/ wants it.
#pragma once

#include "file/metadata.h"
#include "text/vocab.h"

namespace fathom::engine {

// Reads tokenizer.ggml.* and, where a reader of another format left them,
// fathom.tokenizer.pre_patterns (strings), .ignore_merges (bool), .normalizer (string), .eos_ids,
// .strip_left and .strip_right (token ids). Checks types and ranges of single values;
// Tokenizer::create checks them against each other. Throws Error(kBadFile) naming the file and the
// key.
text::VocabData load_vocab(const file::Metadata& metadata);

}  // namespace fathom::engine
