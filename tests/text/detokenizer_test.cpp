#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "support/small_vocab.h"
#include "text/utf8.h"

namespace fathom::text {
namespace {

using test::add_token;
using test::byte_level_vocab;
using test::sentencepiece_vocab;

// What each push gives, and the flush.
std::vector<std::string> stream(const Tokenizer& t, const std::vector<TokenId>& ids) {
  Detokenizer detokenizer(t);
  std::vector<std::string> out;
  for (const TokenId id : ids) out.push_back(detokenizer.push(id));
  out.push_back(detokenizer.flush());
  return out;
}

using Texts = std::vector<std::string>;
const std::string kLost = "\xEF\xBF\xBD";

TEST(Detokenizer, HoldsBackHalfACharacter) {
  const auto t = Tokenizer::create(byte_level_vocab({{"a", "\xF0"}}));
  EXPECT_EQ(stream(*t, {0xE2, 0x82, 0xAC, 'x'}), (Texts{"", "", "\xE2\x82\xAC", "x", ""}));
  EXPECT_EQ(stream(*t, {256, 0x9F, 0x98, 0x80}), (Texts{"a", "", "", "\xF0\x9F\x98\x80", ""}));
}

TEST(Detokenizer, ImpossibleBytesStallNothing) {
  const auto t = Tokenizer::create(byte_level_vocab({}));
  EXPECT_EQ(stream(*t, {0xFF, 'a'}), (Texts{kLost, "a", ""}));
  EXPECT_EQ(stream(*t, {0x80, 0x80}), (Texts{kLost, kLost, ""}));
  EXPECT_EQ(stream(*t, {0xE2, 'a'}), (Texts{"", kLost + "a", ""}));
  EXPECT_EQ(stream(*t, {0xE2, 0xE2, 0x82, 0xAC}), (Texts{"", kLost, "", "\xE2\x82\xAC", ""}));
  EXPECT_EQ(stream(*t, {0xED, 0xA0}), (Texts{"", kLost + kLost, ""}));  // a surrogate's beginning
}

TEST(Detokenizer, FlushEndsWhatWasBegun) {
  const auto t = Tokenizer::create(byte_level_vocab({}));
  EXPECT_EQ(stream(*t, {0xF0, 0x9F, 0x98}), (Texts{"", "", "", kLost}));
  Detokenizer d(*t);
  d.push(0xE2);
  EXPECT_EQ(d.flush(), kLost);
  EXPECT_EQ(d.flush(), "");
  EXPECT_EQ(d.push('a'), "a");
}

TEST(Detokenizer, DropsTheSpaceThatSentencePieceAdds) {
  VocabData vocab = sentencepiece_vocab({{"\xE2\x96\x81", 0},
                                         {"\xE2\x96\x81"
                                          "a",
                                          0}});
  const TokenId mark = 259, a = 260;
  const auto t = Tokenizer::create(vocab);
  EXPECT_EQ(stream(*t, {1, a, a, 2, a}), (Texts{"", "a", " a", "", "a", ""}));
  EXPECT_EQ(stream(*t, {mark, mark, a}), (Texts{"", " ", " a", ""}));
  EXPECT_EQ(stream(*t, {3 + 0xC3, 3 + 0xA9, a}), (Texts{"", "\xC3\xA9", " a", ""}));
}

TEST(Detokenizer, ShowsControlTokensWhenAsked) {
  VocabData vocab = byte_level_vocab({});
  const TokenId end = add_token(vocab, "<|im_end|>", TokenKind::kControl);
  const auto t = Tokenizer::create(vocab);
  Detokenizer d(*t, Tokenizer::ControlTokens::kShow);
  EXPECT_EQ(d.push(end), "<|im_end|>");
  EXPECT_EQ(d.push(-1), "");
  EXPECT_EQ(d.push(1 << 30), "");
}

TEST(Detokenizer, ATextIsItsParts) {
  std::mt19937 rng(7);
  VocabData spm = sentencepiece_vocab({{"\xE2\x96\x81", 0},
                                       {"\xE2\x96\x81"
                                        "a",
                                        0},
                                       {"\xE2\x82", 0}});
  const std::unique_ptr<Tokenizer> tokenizers[] = {
      Tokenizer::create(byte_level_vocab({{"\xE2", "\x82"}, {"a", "\xE2"}})),
      Tokenizer::create(spm)};
  for (int round = 0; round < 2000; ++round) {
    const Tokenizer& t = *tokenizers[round % 2];
    std::vector<TokenId> ids(rng() % 20);
    for (TokenId& id : ids) id = static_cast<TokenId>(rng() % (t.size() + 2)) - 1;
    std::string joined, whole, bytes = t.decode(ids);
    for (const std::string& part : stream(t, ids)) {
      ASSERT_TRUE(is_valid_utf8(part));
      joined += part;
    }
    take_complete_utf8(bytes, whole);
    if (!bytes.empty()) whole += kLost;
    ASSERT_EQ(joined, whole) << "round " << round;
  }
}

}  // namespace
}  // namespace fathom::text
