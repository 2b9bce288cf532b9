#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/error.h"
#include "support/small_vocab.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace fathom::text {
namespace {

using test::add_token;
using test::sentencepiece_vocab;
using testing::ElementsAre;
using Ids = std::vector<TokenId>;
using Scores = std::vector<std::pair<std::string, float>>;

constexpr EncodeOptions kBare{.add = AddSpecial::kNever};
constexpr TokenId kFirst = 259;  // the first piece given
constexpr TokenId byte(unsigned char b) { return 3 + b; }
const std::string kMark = "\xE2\x96\x81";

TEST(SentencePiece, TheHighestScoreMergesFirst) {
  const Scores pieces = {{kMark, -9}, {"a", -9},  {"b", -9},
                         {"ab", -2},  {"ba", -1}, {kMark + "a", -3}};
  const auto t = Tokenizer::create(sentencepiece_vocab(pieces));
  EXPECT_THAT(t->encode("aba", kBare), ElementsAre(kFirst + 5, kFirst + 4));  // "_a" "ba"
  EXPECT_THAT(t->encode("abb", kBare), ElementsAre(kFirst, kFirst + 3, kFirst + 2));
  EXPECT_THAT(t->encode("a"), ElementsAre(1, kFirst + 5));
  EXPECT_THAT(t->encode(""), ElementsAre(1));
}

TEST(SentencePiece, EqualScoresMergeFromTheLeft) {
  const auto t = Tokenizer::create(sentencepiece_vocab({{kMark, 0}, {"a", 0}, {"aa", 1}}));
  EXPECT_THAT(t->encode("aaa", kBare), ElementsAre(kFirst, kFirst + 2, kFirst + 1));
}

TEST(SentencePiece, WhatNoPieceCoversIsSpelledInBytes) {
  const auto t = Tokenizer::create(sentencepiece_vocab({{kMark, 0}, {"a", 0}}));
  EXPECT_THAT(t->encode("\xC3\xA9"
                        "a\xFF",
                        kBare),
              ElementsAre(kFirst, byte(0xC3), byte(0xA9), kFirst + 1, byte(0xFF)));
  EXPECT_EQ(t->decode(Ids{byte(0xC3), byte(0xA9)}), "\xC3\xA9");
  // A byte token's name in the text is only text.
  EXPECT_EQ(t->encode("<0x41>", kBare).size(), 7u);
}

TEST(SentencePiece, CharactersThatAreNoPieceStillMerge) {
  const auto t = Tokenizer::create(sentencepiece_vocab({{kMark, 0}, {"xy", 0}}));
  EXPECT_THAT(t->encode("xyx", kBare), ElementsAre(kFirst, kFirst + 1, byte('x')));
}

TEST(SentencePiece, UnknownStandsForACharacterWhereThereAreNoBytes) {
  VocabData vocab = sentencepiece_vocab({{kMark, 0}, {"a", 0}});
  for (int b = 0; b < 256; ++b) {
    vocab.tokens[3 + b] = "piece " + std::to_string(b);
    vocab.kinds[3 + b] = TokenKind::kNormal;
  }
  EXPECT_THAT(Tokenizer::create(vocab)->encode("a\xE2\x82\xAC\xFF", kBare),
              ElementsAre(kFirst, kFirst + 1, 0, 0));
  vocab.kinds[0] = TokenKind::kNormal;  // no unknown token either
  EXPECT_THROW(Tokenizer::create(vocab), Error);
}

TEST(SentencePiece, NeverMakesControlTokensFromText) {
  VocabData vocab =
      sentencepiece_vocab({{kMark, 0}, {"<", 0}, {"s", 0}, {">", 0}, {"<s", 5}, {"s>", 1}});
  const auto t = Tokenizer::create(vocab);
  EXPECT_THAT(t->encode("<s>", kBare), ElementsAre(kFirst, kFirst + 4, kFirst + 3));
  EXPECT_THAT(t->encode("<s>", {.special = SpecialTokens::kParse, .add = AddSpecial::kNever}),
              ElementsAre(1));
}

TEST(SentencePiece, TheSpaceBeforeATextComesAndGoes) {
  VocabData vocab = sentencepiece_vocab({{kMark, 0}, {"a", 0}, {kMark + "a", 0}});
  const TokenId user = add_token(vocab, "<u>", TokenKind::kUserDefined);
  vocab.eos = 2;
  vocab.add_eos = true;
  const auto t = Tokenizer::create(vocab);
  EXPECT_THAT(t->encode("a</s>a<u>", {.special = SpecialTokens::kParse}),
              ElementsAre(1, kFirst + 2, 2, kFirst + 2, user, 2));
  EXPECT_EQ(t->decode(t->encode("a</s>a<u>", {.special = SpecialTokens::kParse})), "aa<u>");
  EXPECT_EQ(t->decode(t->encode("  a")), "  a");
  vocab.add_space_prefix = false;
  const auto bare = Tokenizer::create(vocab);
  EXPECT_THAT(bare->encode("a", kBare), ElementsAre(kFirst + 1));
  EXPECT_EQ(bare->decode(bare->encode(" a")), " a");
}

TEST(SentencePiece, MaySqueezeSpaces) {
  VocabData vocab = sentencepiece_vocab({{kMark, 0}, {"a", 0}});
  vocab.remove_extra_whitespaces = true;
  const auto t = Tokenizer::create(vocab);
  EXPECT_EQ(t->decode(t->encode("   a   a  ")), "a a");
  EXPECT_THAT(t->encode("    ", kBare), testing::IsEmpty());
}

// The definition: again and again merge the first pair that makes the token of the highest score.
std::vector<std::string> naive_encode(const std::map<std::string, float>& scores,
                                      std::string text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t length = decode_utf8(text).length;
    parts.push_back(text.substr(0, length));
    text.erase(0, length);
  }
  while (true) {
    auto best = scores.end();
    size_t at = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = scores.find(parts[i] + parts[i + 1]);
      if (found == scores.end() || (best != scores.end() && found->second <= best->second))
        continue;
      best = found;
      at = i;
    }
    if (best == scores.end()) return parts;
    parts[at] = best->first;
    parts.erase(parts.begin() + at + 1);
  }
}

TEST(SentencePiece, EqualsTheDefinitionOnRandomVocabularies) {
  std::mt19937 rng(6);
  const std::string letters[] = {"a", "b", "\xC3\xA9", kMark, "\xF0\x9F\x98\x80"};
  const auto random_word = [&](size_t length) {
    std::string word;
    for (; length > 0; --length) word += letters[rng() % std::size(letters)];
    return word;
  };
  for (int round = 0; round < 200; ++round) {
    Scores pieces;
    std::map<std::string, float> scores;
    for (int i = 0; i < 40; ++i) {
      const std::string piece = random_word(1 + rng() % 5);
      const float score = static_cast<float>(rng() % 8);  // many ties
      if (scores.emplace(piece, score).second) pieces.emplace_back(piece, score);
    }
    VocabData vocab = sentencepiece_vocab(pieces);
    vocab.add_space_prefix = false;
    const auto t = Tokenizer::create(vocab);
    for (const size_t length : {1, 4, 30, 120}) {
      const std::string text = random_word(length);
      Ids want;
      for (const std::string& part : naive_encode(scores, text)) {
        if (const auto id = t->find(part)) {
          want.push_back(*id);
        } else {
          for (const char c : part) want.push_back(byte(static_cast<unsigned char>(c)));
        }
      }
      ASSERT_EQ(t->encode(text, kBare), want) << "round " << round << ": " << text;
    }
  }
}

// Quadratic time would take hours.
TEST(SentencePiece, MegabytesOfOneCharacter) {
  const auto t = Tokenizer::create(sentencepiece_vocab(
      {{kMark, 0}, {kMark + kMark, 1}, {"a", 0}, {"aa", 1}, {"aaaa", 2}, {"ab", 3}}));
  for (const std::string unit : {" ", "a", "ab", "\xFF", "\xE4\xBD\xA0"}) {
    std::string text;
    while (text.size() < (2u << 20)) text += unit;
    EXPECT_TRUE(t->decode(t->encode(text)) == text) << unit;
  }
}

}  // namespace
}  // namespace fathom::text
