// Control and user-defined tokens in text, and what ends a reply.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/small_vocab.h"
#include "text/tokenizer.h"

namespace fathom::text {
namespace {

using test::add_token;
using test::byte_level_vocab;
using testing::ElementsAre;
using Ids = std::vector<TokenId>;

constexpr EncodeOptions kParse{.special = SpecialTokens::kParse};

// 256 <|im_start|> and 257 <|im_end|> are control tokens, 258 <think> is user-defined.
VocabData chat_vocab() {
  VocabData vocab = byte_level_vocab({});
  add_token(vocab, "<|im_start|>", TokenKind::kControl);
  add_token(vocab, "<|im_end|>", TokenKind::kControl);
  add_token(vocab, "<think>", TokenKind::kUserDefined);
  return vocab;
}

TEST(SpecialTokens, ControlTokensAreTextUnlessParsed) {
  const auto t = Tokenizer::create(chat_vocab());
  EXPECT_THAT(t->encode("<|im_start|>a<|im_end|>", kParse), ElementsAre(256, 'a', 257));
  const Ids plain = t->encode("<|im_end|>");
  EXPECT_EQ(plain.size(), 10u);
  EXPECT_EQ(t->decode(plain), "<|im_end|>");
}

TEST(SpecialTokens, UserDefinedTokensAreAlwaysMatched) {
  const auto t = Tokenizer::create(chat_vocab());
  EXPECT_THAT(t->encode("a<think>b"), ElementsAre('a', 258, 'b'));
  EXPECT_THAT(t->encode("a<think>b", kParse), ElementsAre('a', 258, 'b'));
  EXPECT_THAT(t->encode("<think><think"), ElementsAre(258, '<', 't', 'h', 'i', 'n', 'k'));
}

TEST(SpecialTokens, AreShownOnlyWhenAsked) {
  const auto t = Tokenizer::create(chat_vocab());
  EXPECT_EQ(t->decode(Ids{256, 'a', 258, 'b', 257}), "a<think>b");
  EXPECT_EQ(t->piece(256), "");
  EXPECT_EQ(t->piece(256, Tokenizer::ControlTokens::kShow), "<|im_start|>");
  EXPECT_EQ(t->piece(258), "<think>");
}

TEST(SpecialTokens, TheLongestOfThoseThatBeginTogetherWins) {
  VocabData vocab = byte_level_vocab({});
  const TokenId two = add_token(vocab, "  ", TokenKind::kUserDefined);
  const TokenId four = add_token(vocab, "    ", TokenKind::kUserDefined);
  const TokenId end = add_token(vocab, "ab", TokenKind::kUserDefined);
  const auto t = Tokenizer::create(vocab);
  EXPECT_THAT(t->encode("       x"), ElementsAre(four, two, ' ', 'x'));
  EXPECT_THAT(t->encode("aab"), ElementsAre('a', end));
}

TEST(SpecialTokens, MayEatTheSpaceAroundThem) {
  VocabData vocab = chat_vocab();
  vocab.strip_right = {257};
  vocab.strip_left = {256};
  const auto t = Tokenizer::create(vocab);
  EXPECT_THAT(t->encode("a \n<|im_start|> b<|im_end|>\n\t <|im_end|> ", kParse),
              ElementsAre('a', 256, ' ', 'b', 257, 257));
}

TEST(SpecialTokens, HundredsOfThemAreFoundInOnePass) {
  VocabData vocab = byte_level_vocab({});
  for (int i = 0; i < 1000; ++i) {
    add_token(vocab, "<|reserved_" + std::to_string(i) + "|>", TokenKind::kControl);
  }
  const auto t = Tokenizer::create(vocab);
  std::string text;
  Ids want;
  for (int i = 0; i < 100'000; ++i) {
    text += "<|reserved_" + std::to_string(i % 1000) + "|>x";
    want.insert(want.end(), {256 + i % 1000, 'x'});
  }
  EXPECT_EQ(t->encode(text, kParse), want);
}

TEST(SpecialTokens, KnownNamesAreControlTokensWhateverTheFileSays) {
  VocabData vocab = byte_level_vocab({});
  const TokenId turn = add_token(vocab, "<end_of_turn>", TokenKind::kNormal);
  const TokenId fim = add_token(vocab, "<|fim_prefix|>", TokenKind::kUserDefined);
  const auto t = Tokenizer::create(vocab);
  EXPECT_EQ(t->kind(turn), TokenKind::kControl);
  EXPECT_EQ(t->kind(fim), TokenKind::kControl);
  EXPECT_TRUE(t->ends_generation(turn));
  EXPECT_FALSE(t->ends_generation(fim));
  EXPECT_EQ(t->encode("<end_of_turn>").size(), 13u);
}

TEST(SpecialTokens, WhatEndsAReply) {
  VocabData vocab = chat_vocab();
  vocab.eos = add_token(vocab, "<stop>", TokenKind::kControl);
  vocab.eot = add_token(vocab, "<turn>", TokenKind::kNormal);
  vocab.eom = add_token(vocab, "<message>", TokenKind::kControl);
  vocab.ends = {add_token(vocab, "<other>", TokenKind::kControl)};
  const TokenId html = add_token(vocab, "</s>", TokenKind::kNormal);  // struck-through text
  const TokenId text_end = add_token(vocab, "<|endoftext|>", TokenKind::kControl);
  const auto t = Tokenizer::create(vocab);
  for (const TokenId id : {*vocab.eos, *vocab.eot, *vocab.eom, vocab.ends[0], text_end, 257}) {
    EXPECT_TRUE(t->ends_generation(id)) << id;
  }
  for (const TokenId id : {256, 258, html, TokenId{'a'}, -1, 1 << 30}) {
    EXPECT_FALSE(t->ends_generation(id)) << id;
  }
  vocab.kinds[html] = TokenKind::kControl;
  EXPECT_TRUE(Tokenizer::create(vocab)->ends_generation(html));
}

TEST(SpecialTokens, AreFoundByTheirSpelling) {
  const auto t = Tokenizer::create(chat_vocab());
  EXPECT_EQ(t->find("<think>"), 258);
  EXPECT_EQ(t->find("no such token"), std::nullopt);
  EXPECT_EQ(t->size(), 259u);
}

}  // namespace
}  // namespace fathom::text
