#include "text/bpe.h"

#include <array>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/merges.h"
#include "text/pretokenizer.h"
#include "text/string_table.h"

namespace fathom::text {
namespace {

constexpr TokenId kNoToken = -1;

// Strings that merge: the vocabulary's tokens, and those that only merges name. Control tokens are
// not among them, so no merge can make one.
class Symbols {
 public:
  explicit Symbols(const VocabData& data) {
    for (size_t i = 0; i < data.tokens.size(); ++i) {
      const TokenKind kind = data.kinds[i];
      if (kind == TokenKind::kControl || kind == TokenKind::kUnknown ||
          kind == TokenKind::kUserDefined) {
        continue;
      }
      const uint32_t symbol = add(from_byte_alphabet(data.tokens[i]));
      if (tokens_[symbol] == kNoToken) tokens_[symbol] = static_cast<TokenId>(i);
    }
  }

  uint32_t add(std::string_view bytes) {
    const uint32_t symbol = strings_.add(bytes);
    if (symbol == tokens_.size()) tokens_.push_back(kNoToken);
    return symbol;
  }

  std::string_view bytes(uint32_t symbol) const { return strings_[symbol]; }
  TokenId token(uint32_t symbol) const { return tokens_[symbol]; }
  // The token of exactly these bytes, or kNoToken.
  TokenId token_of(std::string_view bytes) const {
    const auto symbol = strings_.find(bytes);
    return symbol ? tokens_[*symbol] : kNoToken;
  }

 private:
  StringTable strings_;
  std::vector<TokenId> tokens_;  // symbol -> token
};

MergeTable read_merges(const std::vector<std::string>& merges, Symbols& symbols) {
  MergeTable table;
  for (size_t i = 0; i < merges.size(); ++i) {
    const std::string_view line = merges[i];
    const size_t space = line.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == line.size()) {
      throw bad_file("tokenizer.ggml.merges", "merge {} is no pair: '{}'", i, line);
    }
    const std::string left = from_byte_alphabet(line.substr(0, space));
    const std::string right = from_byte_alphabet(line.substr(space + 1));
    const uint32_t rank = static_cast<uint32_t>(i);
    table.add(symbols.add(left), symbols.add(right), {rank, symbols.add(left + right)});
  }
  return table;
}

Pretokenizer make_pretokenizer(const VocabData& data) {
  if (data.pre_patterns.empty()) return Pretokenizer::named(data.pre);
  const std::vector<std::string_view> patterns(data.pre_patterns.begin(), data.pre_patterns.end());
  return Pretokenizer(patterns);
}

class BpeTokenizer final : public Tokenizer {
 public:
  explicit BpeTokenizer(VocabData data)
      : Tokenizer(std::move(data)),
        symbols_(data_),
        merges_(read_merges(data_.merges, symbols_)),
        pretokenizer_(make_pretokenizer(data_)) {
    data_.merges = {};
    for (size_t byte = 0; byte < byte_symbols_.size(); ++byte) {
      const char c = static_cast<char>(byte);
      byte_symbols_[byte] = symbols_.add({&c, 1});
    }
  }

  bool strips_leading_space() const override { return false; }

 private:
  void encode_text(std::string_view text, std::vector<TokenId>& out) const override;
  std::string text_of(TokenId id) const override { return from_byte_alphabet(data_.tokens[id]); }

  void encode_word(std::string_view word, Merger& merger, std::vector<uint32_t>& scratch,
                   std::vector<TokenId>& out) const;
  void append_symbol(uint32_t symbol, std::vector<TokenId>& out) const;

  Symbols symbols_;
  MergeTable merges_;
  Pretokenizer pretokenizer_;
  std::array<uint32_t, 256> byte_symbols_{};
};

void BpeTokenizer::encode_text(std::string_view text, std::vector<TokenId>& out) const {
  Merger merger(merges_);
  std::vector<uint32_t> scratch;
  pretokenizer_.split(text,
                      [&](std::string_view word) { encode_word(word, merger, scratch, out); });
}

void BpeTokenizer::encode_word(std::string_view word, Merger& merger,
                               std::vector<uint32_t>& scratch, std::vector<TokenId>& out) const {
  if (*data_.ignore_merges) {
    const TokenId whole = symbols_.token_of(word);
    if (whole != kNoToken) return out.push_back(whole);
  }
  scratch.clear();
  for (const char c : word) scratch.push_back(byte_symbols_[static_cast<uint8_t>(c)]);
  merger.merge(scratch);
  for (const uint32_t symbol : scratch) append_symbol(symbol, out);
}

void BpeTokenizer::append_symbol(uint32_t symbol, std::vector<TokenId>& out) const {
  const TokenId token = symbols_.token(symbol);
  if (token != kNoToken) return out.push_back(token);
  // A string that only merges name, or a byte that the vocabulary lacks.
  for (const char c : symbols_.bytes(symbol)) {
    const TokenId byte = symbols_.token(byte_symbols_[static_cast<uint8_t>(c)]);
    if (byte != kNoToken) {
      out.push_back(byte);
    } else if (data_.unknown && data_.kinds[*data_.unknown] == TokenKind::kUnknown) {
      out.push_back(*data_.unknown);
    }
  }
}

}  // namespace

std::unique_ptr<Tokenizer> make_bpe_tokenizer(VocabData data) {
  return std::make_unique<BpeTokenizer>(std::move(data));
}

}  // namespace fathom::text
