// Finds the tokens that are matched in a text before anything else: user-defined tokens always,
// control tokens only where the text is trusted to contain them.
//
// The leftmost match wins, of those that begin together the longest. Immutable after construction.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "text/byte_trie.h"
#include "text/vocab.h"

namespace fathom::text {

class SpecialTokenSplitter {
 public:
  enum class Which { kUserDefined, kAll };

  // REQUIRES: data went through complete_vocab.
  SpecialTokenSplitter(const VocabData& data, Which which);

  struct Receiver {
    FunctionRef<void(std::string_view text)> text;  // never empty
    FunctionRef<void(TokenId token)> token;
  };
  // Calls the receiver for every part of the text, in order.
  void split(std::string_view text, const Receiver& receiver) const;

 private:
  struct Entry {
    TokenId token = 0;
    bool strips_left = false;
    bool strips_right = false;
  };

  ByteTrie trie_;  // -> index in entries_
  std::vector<Entry> entries_;
};

}  // namespace fathom::text
