// Vocabularies small enough to know the answers by heart.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "text/byte_alphabet.h"
#include "text/vocab.h"

namespace fathom::test {

using MergePairs = std::vector<std::pair<std::string, std::string>>;

inline text::TokenId add_token(text::VocabData& vocab, std::string token, text::TokenKind kind) {
  vocab.tokens.push_back(std::move(token));
  vocab.kinds.push_back(kind);
  if (!vocab.scores.empty()) vocab.scores.push_back(0);
  return static_cast<text::TokenId>(vocab.tokens.size() - 1);
}

// Byte-level BPE: token b is the byte b, token 256 + i is what merge i makes.
inline text::VocabData byte_level_vocab(const MergePairs& merges, std::string pre = "gpt-2") {
  text::VocabData vocab;
  vocab.model = "gpt2";
  vocab.pre = std::move(pre);
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    add_token(vocab, text::to_byte_alphabet({&c, 1}), text::TokenKind::kNormal);
  }
  for (const auto& [left, right] : merges) {
    const std::string l = text::to_byte_alphabet(left), r = text::to_byte_alphabet(right);
    vocab.merges.push_back(l + " " + r);
    add_token(vocab, l + r, text::TokenKind::kNormal);
  }
  return vocab;
}

// SentencePiece: token 0 <unk>, 1 <s>, 2 </s>, 3 + b the byte b, then the pieces given.
inline text::VocabData sentencepiece_vocab(
    const std::vector<std::pair<std::string, float>>& pieces) {
  constexpr char kHex[] = "0123456789ABCDEF";
  text::VocabData vocab;
  vocab.model = "llama";
  add_token(vocab, "<unk>", text::TokenKind::kUnknown);
  add_token(vocab, "<s>", text::TokenKind::kControl);
  add_token(vocab, "</s>", text::TokenKind::kControl);
  for (int byte = 0; byte < 256; ++byte) {
    add_token(vocab, std::string("<0x") + kHex[byte / 16] + kHex[byte % 16] + ">",
              text::TokenKind::kByte);
  }
  vocab.scores.assign(vocab.tokens.size(), 0);
  for (const auto& [piece, score] : pieces) {
    add_token(vocab, piece, text::TokenKind::kNormal);
    vocab.scores.back() = score;
  }
  return vocab;
}

}  // namespace fathom::test
