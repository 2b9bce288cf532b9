#include "text/wordpiece.h"

#include <algorithm>

#include "base/error.h"
#include "text/basic_words.h"
#include "text/byte_trie.h"

namespace fathom::text {
namespace {

constexpr std::string_view kWordMark = "\xE2\x96\x81";  // U+2581
constexpr std::string_view kContinuationMark = "##";

class WordPieceTokenizer final : public Tokenizer {
 public:
  explicit WordPieceTokenizer(VocabData data) : Tokenizer(std::move(data)) {
    if (!data_.unknown) throw bad_file("tokenizer", "a WordPiece vocabulary without [UNK]");
    marks_words_ = std::any_of(data_.tokens.begin(), data_.tokens.end(),
                               [](const auto& token) { return token.starts_with(kWordMark); });
    for (size_t i = 0; i < data_.tokens.size(); ++i) {
      const TokenKind kind = data_.kinds[i];
      if (kind == TokenKind::kControl || kind == TokenKind::kUnknown) continue;
      const Part part = part_of(data_.tokens[i]);
      (part.begins_word ? beginnings_ : continuations_).add(part.text, static_cast<uint32_t>(i));
    }
  }

  bool strips_leading_space() const override { return true; }

 private:
  struct Part {
    std::string_view text;
    bool begins_word;
  };

  Part part_of(std::string_view token) const {
    const std::string_view mark = marks_words_ ? kWordMark : kContinuationMark;
    const bool marked = token.starts_with(mark);
    return {token.substr(marked ? mark.size() : 0), marked == marks_words_};
  }

  void encode_text(std::string_view text, std::vector<TokenId>& out) const override {
    split_basic_words(text, [&](std::string_view word) { encode_word(word, out); });
  }

  void encode_word(std::string_view word, std::vector<TokenId>& out) const {
    const size_t before = out.size();
    const ByteTrie* trie = &beginnings_;
    while (!word.empty()) {
      const auto found = trie->longest_prefix(word);
      if (!found) {
        out.resize(before);
        out.push_back(*data_.unknown);
        return;
      }
      out.push_back(static_cast<TokenId>(found->number));
      word.remove_prefix(found->length);
      trie = &continuations_;
    }
  }

  std::string text_of(TokenId id) const override {
    const Part part = part_of(data_.tokens[id]);
    std::string text(part.begins_word ? 1 : 0, ' ');
    return text.append(part.text);
  }

  bool marks_words_ = false;  // GGUF's way of writing; BERT's marks continuations
  ByteTrie beginnings_;       // -> token
  ByteTrie continuations_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_wordpiece_tokenizer(VocabData data) {
  return std::make_unique<WordPieceTokenizer>(std::move(data));
}

}  // namespace fathom::text
