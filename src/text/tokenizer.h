// Text to token ids and back.
//
// encode(decode(ids)) need not give ids back, but for byte-level vocabularies that have a token for
// each of the 256 bytes decode(encode(text)) == text for every byte string, valid UTF-8 or not,
// unless they normalize. (Some published ones lack bytes that their makers never saw; those are
// left out of a text.)
//
// Immutable after construction: encode and decode may be called from any thread. Input is
// untrusted; time and memory are O(n log n) in the text's length, whatever it holds.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/special_tokens.h"
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
  // With kParse: parts, ascending, in which control tokens are text all the same.
  std::span<const TextRange> plain_ranges = {};
};

class Tokenizer {
 public:
  // Throws Error(kBadFile) where the data contradicts itself (an id out of range, a merge that is
  // no pair, ...) and Error(kUnsupported) for a model or pre-tokenizer that is not known, with the
  // list of those that are. Of two equal tokens the first is used.
  static std::unique_ptr<Tokenizer> create(VocabData data);
  virtual ~Tokenizer() = default;

  // Throws Error(kTooLong) for a text of 2 GiB or more.
  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const;

  // Where a text spells control tokens: see SpecialTokenSplitter.
  std::vector<TextRange> control_tokens(std::string_view text) const {
    return all_special_.control_tokens(text);
  }

  // The bytes that the ids stand for. Control tokens give nothing, as llama.cpp's default, and ids
  // out of range neither. Undoes the space that SentencePiece vocabularies put before a text, at
  // its beginning and after every control token.
  std::string decode(std::span<const TokenId> ids) const;
  // The bytes one token adds to a text; control tokens give "" unless `control` asks for their
  // names. May be a part of a UTF-8 character: stream through a Detokenizer.
  enum class ControlTokens { kHide, kShow };
  std::string piece(TokenId id, ControlTokens control = ControlTokens::kHide) const;

  size_t size() const { return data_.tokens.size(); }
  // As completed by complete_vocab; without the merges, which the tokenizer holds in another form.
  const VocabData& data() const { return data_; }
  TokenKind kind(TokenId id) const;  // kUnknown for ids out of range
  // By the vocabulary's own spelling. Looks at every token: not for loops.
  std::optional<TokenId> find(std::string_view token) const;
  // Ends a reply: EOS, EOT, EOM and the tokens known by name to end a turn (<|im_end|>, ...).
  bool ends_generation(TokenId id) const;
  bool adds_bos() const { return *data_.add_bos; }
  // Whether the first piece of a text, and of what follows a control token, loses a leading space.
  virtual bool strips_leading_space() const = 0;

 protected:
  // REQUIRES: data went through complete_vocab.
  explicit Tokenizer(VocabData data);

  // Appends the tokens of a text in which no special tokens are left.
  virtual void encode_text(std::string_view text, std::vector<TokenId>& out) const = 0;
  // The bytes of a token that is neither control, unknown nor user-defined.
  virtual std::string text_of(TokenId id) const = 0;

  VocabData data_;

 private:
  void append_beginning(std::vector<TokenId>& out) const;
  void append_end(std::vector<TokenId>& out) const;

  SpecialTokenSplitter user_defined_;
  SpecialTokenSplitter all_special_;
  std::vector<TokenId> ends_;  // ascending
};

}  // namespace fathom::text
