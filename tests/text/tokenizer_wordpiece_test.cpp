#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/small_vocab.h"
#include "text/basic_words.h"
#include "text/tokenizer.h"

namespace fathom::text {
namespace {

using test::add_token;
using testing::ElementsAre;
using testing::IsEmpty;
using Ids = std::vector<TokenId>;

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  split_basic_words(text, [&](std::string_view word) { out.emplace_back(word); });
  return out;
}

TEST(BasicWords, AreLowerCaseWithoutAccents) {
  EXPECT_THAT(words("  H\xC3\x89llo,W\xC3\xB6rld\n"), ElementsAre("hello", ",", "world"));
  EXPECT_THAT(words("e\xCC\x81\xCC\x80t"), ElementsAre("et"));                  // combining accents
  EXPECT_THAT(words("\xC4\xB0stanbul"), ElementsAre("istanbul"));               // dotted capital I
  EXPECT_THAT(words("\xEA\xB0\x80"), ElementsAre("\xE1\x84\x80\xE1\x85\xA1"));  // Hangul: jamo
}

TEST(BasicWords, AreCutAtPunctuationAndChinese) {
  EXPECT_THAT(words("it's $5-6"), ElementsAre("it", "'", "s", "$", "5", "-", "6"));
  EXPECT_THAT(words("a\xE4\xBD\xA0\xE5\xA5\xBD"
                    "b"),
              ElementsAre("a", "\xE4\xBD\xA0", "\xE5\xA5\xBD", "b"));
  EXPECT_THAT(words("x\xE2\x80\xA6y\xE3\x80\x80z"), ElementsAre("x", "\xE2\x80\xA6", "y", "z"));
  EXPECT_THAT(words("\xE3\x81\x8B\xE3\x81\xAA"),
              ElementsAre("\xE3\x81\x8B\xE3\x81\xAA"));  // kana: one
}

TEST(BasicWords, LoseControlCharactersAndBrokenBytes) {
  const std::string nul(1, '\0'), replacement = "\xEF\xBF\xBD", zero_width = "\xE2\x80\x8B";
  EXPECT_THAT(words("a" + nul + "b\x01" + "c\xFF" + "d" + replacement + "e" + zero_width + "f"),
              ElementsAre("abcdef"));
  EXPECT_THAT(words(" \t\r\n"), IsEmpty());
}

// 0 [PAD] 1 [UNK] 2 [CLS] 3 [SEP] 4 un 5 ##aff 6 ##able 7 un##a 8 hello 9 ! 10 ##s
VocabData bert_vocab(bool gguf_style) {
  VocabData vocab;
  vocab.model = "bert";
  for (const char* special : {"[PAD]", "[UNK]", "[CLS]", "[SEP]"}) {
    add_token(vocab, special, TokenKind::kControl);
  }
  const std::string mark = "\xE2\x96\x81";
  for (const std::string word : {"un", "##aff", "##able", "una", "hello", "!", "##s"}) {
    const bool continues = word.starts_with("##");
    const std::string gguf = continues ? word.substr(2) : mark + word;
    add_token(vocab, gguf_style ? gguf : word, TokenKind::kNormal);
  }
  return vocab;
}

class WordPiece : public testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<Tokenizer> t_ = Tokenizer::create(bert_vocab(GetParam()));
  static constexpr EncodeOptions kBare{.add = AddSpecial::kNever};
};

TEST_P(WordPiece, TakesTheLongestPieceAtEachStep) {
  EXPECT_THAT(t_->encode("Hello!", kBare), ElementsAre(8, 9));
  EXPECT_THAT(t_->encode("hellosaffs", kBare), ElementsAre(8, 10, 5, 10));
  EXPECT_THAT(t_->encode("unable", kBare), ElementsAre(1));  // "una" is longest, "ble" is nothing
  EXPECT_THAT(t_->encode("unaffable", kBare), ElementsAre(1));
  EXPECT_THAT(t_->encode("unaff", kBare), ElementsAre(1));
}

TEST_P(WordPiece, UnknownReplacesTheWholeWord) {
  EXPECT_THAT(t_->encode("hello unx hello", kBare), ElementsAre(8, 1, 8));
  EXPECT_THAT(t_->encode("aff", kBare), ElementsAre(1));         // only continues words
  EXPECT_THAT(t_->encode("hellohello", kBare), ElementsAre(1));  // only begins them
}

TEST_P(WordPiece, StandsBetweenClsAndSep) {
  EXPECT_THAT(t_->encode("hello"), ElementsAre(2, 8, 3));
  EXPECT_THAT(t_->encode(""), ElementsAre(2, 3));
  EXPECT_THAT(t_->encode("[SEP]", {.special = SpecialTokens::kParse}), ElementsAre(2, 3, 3));
}

TEST_P(WordPiece, DecodesToWordsWithSpaces) {
  EXPECT_EQ(t_->decode(Ids{2, 4, 5, 6, 8, 3}), "unaffable hello");
}

TEST_P(WordPiece, MegabytesWithoutASpace) {
  EXPECT_THAT(t_->encode(std::string(3 << 20, 'u'), kBare), ElementsAre(1));
  std::string text = "un";
  while (text.size() < (3u << 20)) text += "aff";
  EXPECT_EQ(t_->encode("x " + text, kBare).size(), 2u);
}

INSTANTIATE_TEST_SUITE_P(BothSpellings, WordPiece, testing::Bool());

TEST(WordPieceVocabulary, NeedsAnUnknownToken) {
  VocabData vocab = bert_vocab(true);
  vocab.tokens[1] = "something";
  EXPECT_THROW(Tokenizer::create(vocab), Error);
}

}  // namespace
}  // namespace fathom::text
