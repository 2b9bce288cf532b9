// SentencePiece BPE ("llama": Llama 2, Gemma, Phi 3): spaces become U+2581, then neighbouring
// symbols that together are a token merge, the token with the highest score first. What no token
// covers is spelled in byte tokens.
#pragma once

#include <memory>

#include "text/tokenizer.h"

namespace fathom::text {

// REQUIRES: data went through complete_vocab. Throws as Tokenizer::create.
std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(VocabData data);

}  // namespace fathom::text
