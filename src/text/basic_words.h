// BERT's basic tokenizer: the words that WordPiece reads, normalized.
#pragma once

#include <string>
#include <string_view>

#include "base/function_ref.h"

namespace fathom::text {

// Calls `word` for every word of the text, in order; the view is valid during the call. Words are
// lower-case, decomposed (NFD) and without accents; each punctuation mark and each Chinese
// character is a word. Bytes that are not UTF-8 are left out.
void split_basic_words(std::string_view text, FunctionRef<void(std::string_view)> word);

}  // namespace fathom::text
