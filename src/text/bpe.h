// Byte-level BPE ("gpt2"): text is cut into words by patterns, and within a word the bytes are
// merged pair by pair in the order of the vocabulary's merges. Loses nothing: every byte is a
// symbol.
#pragma once

#include <memory>

#include "text/tokenizer.h"

namespace fathom::text {

// REQUIRES: data went through complete_vocab. Throws as Tokenizer::create.
std::unique_ptr<Tokenizer> make_bpe_tokenizer(VocabData data);

}  // namespace fathom::text
