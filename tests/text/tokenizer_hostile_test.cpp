// Vocabularies that nobody trained: refused with the reason, or harmless.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "base/error.h"
#include "support/small_vocab.h"
#include "text/tokenizer.h"

namespace fathom::text {
namespace {

using test::add_token;
using test::byte_level_vocab;
using test::sentencepiece_vocab;
using testing::HasSubstr;
using Ids = std::vector<TokenId>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct RefusedCase {
  const char* name;
  std::function<void(VocabData&)> spoil;
  ErrorCode code;
  const char* message;
};
const RefusedCase kRefused[] = {
    {"unknown model", [](auto& v) { v.model = "t5"; }, ErrorCode::kUnsupported, "'t5'"},
    {"no tokens", [](auto& v) { v.tokens.clear(); }, ErrorCode::kBadFile, "empty"},
    {"BOS too large", [](auto& v) { v.bos = 256; }, ErrorCode::kBadFile, "BOS token is 256"},
    {"EOS negative", [](auto& v) { v.eos = -1; }, ErrorCode::kBadFile, "EOS token is -1"},
    {"EOT too large", [](auto& v) { v.eot = 1 << 30; }, ErrorCode::kBadFile, "EOT"},
    {"EOM too large", [](auto& v) { v.eom = 256; }, ErrorCode::kBadFile, "EOM"},
    {"unknown too large", [](auto& v) { v.unknown = 256; }, ErrorCode::kBadFile, "unknown"},
    {"separator too large", [](auto& v) { v.separator = 256; }, ErrorCode::kBadFile, "separator"},
    {"ending id too large",
     [](auto& v) {
       v.ends = {1, 300};
     },
     ErrorCode::kBadFile, "300"},
    {"unknown normalizer", [](auto& v) { v.normalizer = "nfd"; }, ErrorCode::kUnsupported, "nfd"},
    {"strip id too large", [](auto& v) { v.strip_left = {256}; }, ErrorCode::kBadFile, "256"},
    {"strip id negative", [](auto& v) { v.strip_right = {-5}; }, ErrorCode::kBadFile, "-5"},
    {"BOS wanted, none named", [](auto& v) { v.add_bos = true; }, ErrorCode::kBadFile, "BOS"},
    {"EOS wanted, none named", [](auto& v) { v.add_eos = true; }, ErrorCode::kBadFile, "EOS"},
    {"too few kinds", [](auto& v) { v.kinds.resize(9); }, ErrorCode::kBadFile, "9 token types"},
    {"too many scores", [](auto& v) { v.scores.resize(300); }, ErrorCode::kBadFile, "300 scores"},
    {"NaN score", [](auto& v) { v.scores.resize(256, kNan); }, ErrorCode::kBadFile, "score"},
    {"merge of one", [](auto& v) { v.merges = {"ab"}; }, ErrorCode::kBadFile, "merge 0"},
    {"merge of nothing",
     [](auto& v) {
       v.merges = {"a b", ""};
     },
     ErrorCode::kBadFile, "merge 1"},
    {"merge with nothing", [](auto& v) { v.merges = {"a "}; }, ErrorCode::kBadFile, "merge 0"},
    {"unknown pre-tokenizer", [](auto& v) { v.pre = "no such"; }, ErrorCode::kUnsupported,
     "'no such'"},
    {"bad pattern", [](auto& v) { v.pre_patterns = {"[a"}; }, ErrorCode::kUnsupported, "[a"},
};

TEST(HostileVocabulary, IsRefusedWithTheReason) {
  for (const RefusedCase& c : kRefused) {
    VocabData vocab = byte_level_vocab({});
    c.spoil(vocab);
    try {
      Tokenizer::create(vocab);
      ADD_FAILURE() << c.name << " was accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), c.code) << c.name;
      EXPECT_THAT(e.what(), HasSubstr(c.message)) << c.name;
    }
  }
}

TEST(HostileVocabulary, AByteTokenMustNameAByte) {
  for (const char* name : {"<0x4>", "<0xGG>", "byte", "<0x411>", ""}) {
    VocabData vocab = sentencepiece_vocab({});
    vocab.tokens[3] = name;
    EXPECT_NO_THROW(Tokenizer::create(sentencepiece_vocab({})));
    EXPECT_THROW(Tokenizer::create(vocab), Error) << name;
  }
}

TEST(HostileVocabulary, IdsPastTheEndAreHarmlessWhereNothingNeedsThem) {
  VocabData vocab = byte_level_vocab({});
  vocab.padding = 1000;
  vocab.mask = -3;
  const auto t = Tokenizer::create(vocab);
  EXPECT_FALSE(t->data().padding.has_value());
  EXPECT_FALSE(t->data().mask.has_value());
}

TEST(HostileVocabulary, IdsThatAreNoTokensDecodeToNothing) {
  const auto t = Tokenizer::create(byte_level_vocab({}));
  EXPECT_EQ(t->decode(Ids{-1, 'a', 256, std::numeric_limits<TokenId>::max(),
                          std::numeric_limits<TokenId>::min()}),
            "a");
  EXPECT_EQ(t->piece(-1, Tokenizer::ControlTokens::kShow), "");
  EXPECT_EQ(t->kind(1 << 30), TokenKind::kUnknown);
}

TEST(HostileVocabulary, OfTwoEqualTokensTheFirstIsUsed) {
  VocabData vocab = byte_level_vocab({{"a", "b"}});
  add_token(vocab, "ab", TokenKind::kNormal);
  add_token(vocab, "x", TokenKind::kNormal);
  EXPECT_EQ(Tokenizer::create(vocab)->encode("abx"), (Ids{256, 'x'}));
  VocabData spm = sentencepiece_vocab({{"\xE2\x96\x81", 0}, {"ab", 1}, {"ab", 2}});
  EXPECT_EQ(Tokenizer::create(spm)->encode("ab"), (Ids{1, 259, 260}));
}

TEST(HostileVocabulary, EmptyTokensNeverMatch) {
  VocabData vocab = byte_level_vocab({});
  add_token(vocab, "", TokenKind::kNormal);
  add_token(vocab, "", TokenKind::kUserDefined);
  add_token(vocab, "", TokenKind::kControl);
  const auto t = Tokenizer::create(vocab);
  EXPECT_EQ(t->encode("ab", {.special = SpecialTokens::kParse}), (Ids{'a', 'b'}));
  EXPECT_EQ(t->decode(Ids{256, 257, 258}), "");
  VocabData spm = sentencepiece_vocab({{"", 0}, {"\xE2\x96\x81", 0}});
  EXPECT_EQ(Tokenizer::create(spm)->encode(" "), (Ids{1, 260, 260}));
}

TEST(HostileVocabulary, MergesOfUnknownStringsDoNoHarm) {
  VocabData vocab = byte_level_vocab({});
  vocab.merges = {"a b", "ab \xE2\x96\x81", "\xFF \xFE", "a a", "aa a", "a aa"};
  const auto t = Tokenizer::create(vocab);
  for (const std::string text : {"ab", "aaaa", "ab\xE2\x96\x81", "\xFF\xFE"}) {
    EXPECT_EQ(t->decode(t->encode(text)), text);
  }
}

TEST(HostileVocabulary, ExtremeScoresAreOnlyScores) {
  VocabData vocab = sentencepiece_vocab({{"\xE2\x96\x81", 0},
                                         {"ab", -kInfinity},
                                         {"bc", kInfinity},
                                         {"cd", std::numeric_limits<float>::max()}});
  const auto t = Tokenizer::create(vocab);
  EXPECT_EQ(t->encode("abcd"), (Ids{1, 259, 3 + 'a', 261, 3 + 'd'}));
}

TEST(HostileVocabulary, LongTokensAreSearchedOnlyAsFarAsTheyMatch) {
  VocabData vocab = byte_level_vocab({});
  const std::string text = std::string(1 << 20, 'z');
  const TokenId token = add_token(vocab, "q" + text, TokenKind::kUserDefined);
  const auto t = Tokenizer::create(vocab);
  EXPECT_EQ(t->encode("aq" + text + "b"), (Ids{'a', token, 'b'}));
  EXPECT_EQ(t->encode(text).size(), text.size());
}

}  // namespace
}  // namespace fathom::text
