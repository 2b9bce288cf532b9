#include "text/sentencepiece.h"

#include <algorithm>
#include <array>
#include <functional>

#include "base/error.h"
#include "text/merges.h"
#include "text/string_table.h"
#include "text/utf8.h"

namespace fathom::text {
namespace {

constexpr TokenId kNoToken = -1;
constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

// Symbols below this are strings of the vocabulary. Above it are characters that are no token: the
// code point, or kStrayByte + the byte for a byte that is not part of a character.
constexpr uint32_t kForeign = 1u << 31;
constexpr uint32_t kStrayByte = kForeign + 0x110000;

std::string bytes_of_foreign(uint32_t symbol) {
  if (symbol >= kStrayByte) return {static_cast<char>(symbol - kStrayByte)};
  return to_utf8(symbol - kForeign);
}

size_t first_char_length(std::string_view text) {
  const Utf8Char c = decode_utf8(text);
  return c.status == Utf8Status::kValid ? c.length : 1;
}

// The order in which tokens win: the highest score is rank 0, equal scores are equal ranks.
std::vector<uint32_t> ranks_of(const VocabData& data) {
  if (data.scores.empty()) return std::vector<uint32_t>(data.tokens.size(), 0);
  std::vector<float> distinct = data.scores;
  std::sort(distinct.begin(), distinct.end(), std::greater<>());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<uint32_t> ranks;
  for (const float score : data.scores) {
    const auto at = std::lower_bound(distinct.begin(), distinct.end(), score, std::greater<>());
    ranks.push_back(static_cast<uint32_t>(at - distinct.begin()));
  }
  return ranks;
}

bool is_text(TokenKind kind) {
  return kind == TokenKind::kNormal || kind == TokenKind::kUserDefined ||
         kind == TokenKind::kUnused;
}

// The tokens that text can become and how they are put together, learned from their spellings.
class Pieces {
 public:
  explicit Pieces(const VocabData& data) {
    for (size_t i = 0; i < data.tokens.size(); ++i) {
      if (!is_text(data.kinds[i]) || data.tokens[i].empty()) continue;
      if (strings_.add(data.tokens[i]) == tokens_.size()) {
        tokens_.push_back(static_cast<TokenId>(i));
      }
    }
    for (size_t byte = 0; byte < ascii_.size(); ++byte) {
      ascii_[byte] = look_up_char(std::string(1, static_cast<char>(byte)));
    }
    const std::vector<uint32_t> ranks = ranks_of(data);
    for (uint32_t i = 0; i < tokens_.size(); ++i) add_merges(i, ranks[tokens_[i]]);
  }

  const MergeTable& merges() const { return merges_; }
  TokenId token(uint32_t symbol) const { return symbol < kForeign ? tokens_[symbol] : kNoToken; }
  TokenId token_of(std::string_view text) const {
    const auto symbol = strings_.find(text);
    return symbol ? tokens_[*symbol] : kNoToken;
  }
  // REQUIRES: one character, or one byte that is not part of one.
  uint32_t symbol_of_char(std::string_view c) const {
    const uint8_t first = static_cast<uint8_t>(c[0]);
    return first < ascii_.size() ? ascii_[first] : look_up_char(c);
  }
  // Whether any token holds these two characters side by side. Where not, no merge can reach
  // across.
  bool may_join(uint32_t left, uint32_t right) const { return neighbours_.find(left, right); }

 private:
  uint32_t look_up_char(std::string_view c) const {
    if (const auto symbol = strings_.find(c)) return *symbol;
    const Utf8Char decoded = decode_utf8(c);
    if (decoded.status == Utf8Status::kValid) return kForeign + decoded.code;
    return kStrayByte + static_cast<uint8_t>(c[0]);
  }

  // A part of a token: a token itself, or a single character.
  std::optional<uint32_t> symbol_of_part(std::string_view part) const {
    if (first_char_length(part) == part.size()) return symbol_of_char(part);
    return strings_.find(part);
  }

  // Every way to cut the token into two symbols is a merge that makes it.
  void add_merges(uint32_t symbol, uint32_t rank) {
    const std::string_view text = strings_[symbol];
    std::string_view last = text.substr(0, first_char_length(text));
    for (size_t cut = last.size(); cut < text.size();) {
      const std::string_view next = text.substr(cut, first_char_length(text.substr(cut)));
      neighbours_.add(symbol_of_char(last), symbol_of_char(next), true);
      const auto left = symbol_of_part(text.substr(0, cut));
      const auto right = left ? symbol_of_part(text.substr(cut)) : std::nullopt;
      if (right) merges_.add(*left, *right, {rank, symbol});
      cut += next.size();
      last = next;
    }
  }

  StringTable strings_;
  std::vector<TokenId> tokens_;  // string -> token
  std::array<uint32_t, 128> ascii_{};
  MergeTable merges_;
  PairTable<bool> neighbours_;
};

class SentencePieceTokenizer final : public Tokenizer {
 public:
  explicit SentencePieceTokenizer(VocabData data) : Tokenizer(std::move(data)), pieces_(data_) {
    byte_tokens_.fill(kNoToken);
    for (size_t i = 0; i < data_.tokens.size(); ++i) {
      if (data_.kinds[i] != TokenKind::kByte) continue;
      byte_tokens_[byte_of(data_.tokens[i])] = static_cast<TokenId>(i);
    }
    for (size_t byte = 0; byte < byte_tokens_.size(); ++byte) complete_byte(byte);
  }

  bool strips_leading_space() const override { return *data_.add_space_prefix; }

 private:
  void encode_text(std::string_view text, std::vector<TokenId>& out) const override;
  std::string text_of(TokenId id) const override;

  void complete_byte(size_t byte);
  std::string normalize(std::string_view text) const;
  void append_symbol(uint32_t symbol, std::vector<TokenId>& out) const;

  // The byte that "<0x41>" names.
  static uint8_t byte_of(const std::string& token) {
    return static_cast<uint8_t>(std::stoi(token.substr(3, 2), nullptr, 16));
  }

  Pieces pieces_;
  std::array<TokenId, 256> byte_tokens_{};
};

void SentencePieceTokenizer::complete_byte(size_t byte) {
  if (byte_tokens_[byte] != kNoToken) return;
  byte_tokens_[byte] = pieces_.token_of(std::string(1, static_cast<char>(byte)));
  if (byte_tokens_[byte] == kNoToken && !data_.unknown) {
    throw bad_file("tokenizer", "has neither a token for byte 0x{:02X} nor an unknown token", byte);
  }
}

// Spaces as the vocabulary writes them, with one before the text where the model expects it.
std::string SentencePieceTokenizer::normalize(std::string_view text) const {
  const bool squeeze = *data_.remove_extra_whitespaces;
  std::string out;
  out.reserve(text.size() + text.size() / 2 + kSpaceMark.size());
  if (*data_.add_space_prefix) out += kSpaceMark;
  if (squeeze) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    text = text.substr(0, text.find_last_not_of(' ') + 1);
  }
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != ' ') {
      out += text[i];
    } else if (!squeeze || text[i - 1] != ' ') {
      out += kSpaceMark;
    }
  }
  return squeeze && text.empty() ? std::string() : out;
}

void SentencePieceTokenizer::encode_text(std::string_view text, std::vector<TokenId>& out) const {
  const std::string normal = normalize(text);
  Merger merger(pieces_.merges());
  std::vector<uint32_t> symbols;
  const auto flush = [&] {
    merger.merge(symbols);
    for (const uint32_t symbol : symbols) append_symbol(symbol, out);
    symbols.clear();
  };
  for (std::string_view rest = normal; !rest.empty();) {
    const size_t length = first_char_length(rest);
    const uint32_t symbol = pieces_.symbol_of_char(rest.substr(0, length));
    if (!symbols.empty() && !pieces_.may_join(symbols.back(), symbol)) flush();
    symbols.push_back(symbol);
    rest.remove_prefix(length);
  }
  flush();
}

void SentencePieceTokenizer::append_symbol(uint32_t symbol, std::vector<TokenId>& out) const {
  const TokenId token = pieces_.token(symbol);
  if (token != kNoToken) return out.push_back(token);
  for (const char c : bytes_of_foreign(symbol)) {
    const TokenId byte = byte_tokens_[static_cast<uint8_t>(c)];
    out.push_back(byte != kNoToken ? byte : *data_.unknown);
    if (byte == kNoToken) return;  // one unknown token a character
  }
}

std::string SentencePieceTokenizer::text_of(TokenId id) const {
  std::string_view rest = data_.tokens[id];
  if (data_.kinds[id] == TokenKind::kByte) return {static_cast<char>(byte_of(data_.tokens[id]))};
  std::string text;
  while (!rest.empty()) {
    const bool mark = rest.starts_with(kSpaceMark);
    text += mark ? ' ' : rest[0];
    rest.remove_prefix(mark ? kSpaceMark.size() : 1);
  }
  return text;
}

}  // namespace

std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(VocabData data) {
  return std::make_unique<SentencePieceTokenizer>(std::move(data));
}

}  // namespace fathom::text
