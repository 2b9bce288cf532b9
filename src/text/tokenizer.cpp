#include "text/tokenizer.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "text/bpe.h"
#include "text/normalize.h"
#include "text/sentencepiece.h"
#include "text/wordpiece.h"

namespace fathom::text {

std::unique_ptr<Tokenizer> Tokenizer::create(VocabData data) {
  complete_vocab(data);
  if (data.model == "gpt2") return make_bpe_tokenizer(std::move(data));
  if (data.model == "llama") return make_sentencepiece_tokenizer(std::move(data));
  if (data.model == "bert") return make_wordpiece_tokenizer(std::move(data));
  throw with_hint(
      unsupported("tokenizer.ggml.model", "the tokenizer '{}' is not known", data.model),
      "known: gpt2 (byte-level BPE), llama (SentencePiece BPE), bert (WordPiece)");
}

Tokenizer::Tokenizer(VocabData data)
    : data_(std::move(data)),
      user_defined_(data_, SpecialTokenSplitter::Which::kUserDefined),
      all_special_(data_, SpecialTokenSplitter::Which::kAll),
      ends_(generation_ends(data_)) {}

std::vector<TokenId> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  if (text.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    throw Error(ErrorCode::kTooLong, "text", "2 GiB or more of text in one piece");
  }
  std::vector<TokenId> out;
  out.reserve(text.size() / 3 + 4);
  if (options.add == AddSpecial::kAsModelSays) append_beginning(out);
  const bool parse = options.special == SpecialTokens::kParse;
  const auto on_text = [&](std::string_view part) {
    if (data_.normalizer.empty()) return encode_text(part, out);
    encode_text(to_nfc(part), out);
  };
  const auto on_token = [&](TokenId token) { out.push_back(token); };
  (parse ? all_special_ : user_defined_).split(text, options.plain_ranges, {on_text, on_token});
  if (options.add == AddSpecial::kAsModelSays) append_end(out);
  return out;
}

void Tokenizer::append_beginning(std::vector<TokenId>& out) const {
  if (adds_bos()) out.push_back(*data_.bos);
}

void Tokenizer::append_end(std::vector<TokenId>& out) const {
  if (data_.model == "bert" && data_.separator) out.push_back(*data_.separator);
  if (*data_.add_eos) out.push_back(*data_.eos);
}

std::string Tokenizer::decode(std::span<const TokenId> ids) const {
  std::string out;
  bool fresh = true;  // at the beginning, or behind a control token
  for (const TokenId id : ids) {
    const std::string text = piece(id);
    if (kind(id) == TokenKind::kControl) fresh = true;
    if (text.empty()) continue;
    out.append(text, fresh && strips_leading_space() && text[0] == ' ' ? 1 : 0);
    fresh = false;
  }
  return out;
}

std::string Tokenizer::piece(TokenId id, ControlTokens control) const {
  switch (kind(id)) {
    case TokenKind::kControl:
    case TokenKind::kUnknown:
      if (control == ControlTokens::kHide || id < 0 || static_cast<size_t>(id) >= size()) return {};
      return data_.tokens[id];
    case TokenKind::kUserDefined:
      return data_.tokens[id];
    default:
      return text_of(id);
  }
}

TokenKind Tokenizer::kind(TokenId id) const {
  if (id < 0 || static_cast<size_t>(id) >= size()) return TokenKind::kUnknown;
  return data_.kinds[id];
}

std::optional<TokenId> Tokenizer::find(std::string_view token) const {
  const auto it = std::find(data_.tokens.begin(), data_.tokens.end(), token);
  if (it == data_.tokens.end()) return std::nullopt;
  return static_cast<TokenId>(it - data_.tokens.begin());
}

bool Tokenizer::ends_generation(TokenId id) const {
  return std::binary_search(ends_.begin(), ends_.end(), id);
}

}  // namespace fathom::text
