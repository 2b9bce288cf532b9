// Text to token ids and back.
//
// encode(decode(ids)) need not give ids back, but for byte-level vocabularies
// decode(encode(text)) == text for every byte string, valid UTF-8 or not.
//
// Immutable after construction: encode and decode may be called from any thread. Input is untrusted;
// time and memory are O(n log n) in the text's length, whatever it holds.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocab.h"

namespace fathom::text {

enum class SpecialTokens {
  kParse,      // "<|im_start|>" in the text becomes that token: for rendered chat templates
  kPlainText,  // control tokens spelled in the text are text: for what users write
};
enum class AddSpecial {
  kAsModelSays,  // BOS and EOS as the file's flags ask for
  kNever,
};

struct EncodeOptions {
  SpecialTokens special = SpecialTokens::kPlainText;
  AddSpecial add = AddSpecial::kAsModelSays;
};

class Tokenizer {
 public:
  // Throws Error(kBadFile) where the data contradicts itself (an id out of range, a missing byte
  // token, ...) and Error(kUnsupported) for a model or pre-tokenizer that is not known, with the
  // list of those that are.
  static std::unique_ptr<Tokenizer> create(VocabData data);
  virtual ~Tokenizer() = default;

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const;

  // The bytes that the ids stand for. Control tokens give nothing, as llama.cpp's default.
  // Undoes the leading space that SentencePiece vocabularies add to a text.
  std::string decode(std::span<const TokenId> ids) const;
  // The bytes one token adds to a text; control tokens give "" unless `special` asks for their
  // names. May be a part of a UTF-8 character: stream through a Detokenizer.
  enum class ControlTokens { kHide, kShow };
  std::string piece(TokenId id, ControlTokens control = ControlTokens::kHide) const;

  size_t size() const { return data_.tokens.size(); }
  const VocabData& data() const { return data_; }
  TokenKind kind(TokenId id) const;
  std::optional<TokenId> find(std::string_view token) const;  // by the vocabulary's own spelling
  // Ends a reply: EOS, EOT, EOM and the tokens known by name to end a turn (<|im_end|>, ...).
  bool ends_generation(TokenId id) const;
  bool adds_bos() const;

 protected:
  explicit Tokenizer(VocabData data);
  VocabData data_;
};

}  // namespace fathom::text
