// Finds the tokens that are matched in a text before anything else: user-defined tokens always,
// control tokens only where the text is trusted to contain them.
//
// The leftmost match wins, of those that begin together the longest. Immutable after construction.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "text/byte_trie.h"
#include "text/vocab.h"

namespace fathom::text {

// Bytes [begin, end) of a text.
struct TextRange {
  size_t begin = 0;
  size_t end = 0;
};

class SpecialTokenSplitter {
 public:
  enum class Which { kUserDefined, kAll };

  // REQUIRES: data went through complete_vocab.
  SpecialTokenSplitter(const VocabData& data, Which which);

  struct Receiver {
    FunctionRef<void(std::string_view text)> text;  // never empty
    FunctionRef<void(TokenId token)> token;
  };
  // Calls the receiver for every part of the text, in order. Control tokens that touch one of the
  // `plain` ranges, which ascend, are text.
  void split(std::string_view text, std::span<const TextRange> plain,
             const Receiver& receiver) const;

  // Every place where a control token begins, as far as the longest one there goes; ascending, and
  // they may overlap.
  std::vector<TextRange> control_tokens(std::string_view text) const;

 private:
  struct Entry {
    TokenId token = 0;
    bool control = false;
    bool strips_left = false;
    bool strips_right = false;
  };

  ByteTrie trie_;  // -> index in entries_
  std::vector<Entry> entries_;
};

}  // namespace fathom::text
