// WordPiece ("bert"): text is lower-cased, stripped of accents and control characters and cut at
// white space, punctuation and Chinese characters; each word is then read greedily as the longest
// token, the longest token that continues it, and so on, or as unknown where that fails.
#pragma once

#include <memory>

#include "text/tokenizer.h"

namespace fathom::text {

// Takes both ways of writing the vocabulary: GGUF's, where a token that begins a word begins with
// U+2581, and BERT's own, where a token that continues one begins with "##".
// REQUIRES: data went through complete_vocab. Throws as Tokenizer::create.
std::unique_ptr<Tokenizer> make_wordpiece_tokenizer(VocabData data);

}  // namespace fathom::text
