#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

#include "base/error.h"
#include "support/small_vocab.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"

namespace fathom::text {
namespace {

using test::add_token;
using test::byte_level_vocab;
using test::MergePairs;
using testing::ElementsAre;
using testing::IsEmpty;
using Ids = std::vector<TokenId>;

constexpr EncodeOptions kBare{.add = AddSpecial::kNever};

TEST(Bpe, MergesInTheOrderOfTheFile) {
  // 256: "he", 257: "ll", 258: "hell", 259: " w"
  const auto t =
      Tokenizer::create(byte_level_vocab({{"h", "e"}, {"l", "l"}, {"he", "ll"}, {" ", "w"}}));
  EXPECT_THAT(t->encode("hello w"), ElementsAre(258, 'o', 259));
  EXPECT_THAT(t->encode("lll"), ElementsAre(257, 'l'));  // the leftmost of equals
  EXPECT_THAT(t->encode(""), IsEmpty());
  EXPECT_EQ(t->decode(Ids{258, 'o', 259}), "hello w");
  EXPECT_EQ(t->piece(259), " w");
}

TEST(Bpe, NeverMergesAcrossWords) {
  const auto t = Tokenizer::create(byte_level_vocab({{"a", " "}, {" ", "b"}}));
  EXPECT_THAT(t->encode("a b"), ElementsAre('a', 257));
}

TEST(Bpe, WholeWordsWinWhereMergesAreIgnored) {
  VocabData vocab = byte_level_vocab({{"b", "c"}}, "llama-bpe");
  const TokenId abc = add_token(vocab, "abc", TokenKind::kNormal);  // no merges lead here
  EXPECT_THAT(Tokenizer::create(vocab)->encode("abc abc"), ElementsAre(abc, ' ', 'a', 256));
  vocab.ignore_merges = false;
  EXPECT_THAT(Tokenizer::create(vocab)->encode("abc"), ElementsAre('a', 256));
  vocab.pre = "gpt-2";
  vocab.ignore_merges.reset();
  EXPECT_THAT(Tokenizer::create(vocab)->encode("abc"), ElementsAre('a', 256));
}

TEST(Bpe, OwnPatternsReplaceTheNamedOnes) {
  VocabData vocab = byte_level_vocab({{"a", "b"}});
  vocab.pre_patterns = {"a"};
  EXPECT_THAT(Tokenizer::create(vocab)->encode("ab"), ElementsAre('a', 'b'));
  vocab.pre = "no such name";
  EXPECT_THAT(Tokenizer::create(vocab)->encode("ab"), ElementsAre('a', 'b'));
  vocab.pre_patterns = {"("};
  EXPECT_THROW(Tokenizer::create(vocab), Error);
}

TEST(Bpe, NormalizesWhereTheFileAsks) {
  VocabData vocab = byte_level_vocab({{"\xC3", "\xA9"}});
  EXPECT_THAT(Tokenizer::create(vocab)->encode("e\xCC\x81"), ElementsAre('e', 0xCC, 0x81));
  vocab.normalizer = "nfc";
  EXPECT_THAT(Tokenizer::create(vocab)->encode("e\xCC\x81"), ElementsAre(256));
}

TEST(Bpe, BosComesFromTheFileOrThePreTokenizer) {
  VocabData vocab = byte_level_vocab({}, "llama-bpe");
  EXPECT_FALSE(Tokenizer::create(vocab)->adds_bos());  // it has none
  vocab.bos = vocab.eos = add_token(vocab, "<s>", TokenKind::kControl);
  EXPECT_THAT(Tokenizer::create(vocab)->encode("a"), ElementsAre(256, 'a'));
  vocab.pre = "gpt-2";
  EXPECT_THAT(Tokenizer::create(vocab)->encode("a"), ElementsAre('a'));
  vocab.add_bos = vocab.add_eos = true;
  EXPECT_THAT(Tokenizer::create(vocab)->encode("a"), ElementsAre(256, 'a', 256));
  EXPECT_THAT(Tokenizer::create(vocab)->encode(""), ElementsAre(256, 256));
  EXPECT_THAT(Tokenizer::create(vocab)->encode("a", kBare), ElementsAre('a'));
}

TEST(Bpe, StringsThatOnlyMergesNameAreSpelledInBytes) {
  VocabData vocab = byte_level_vocab({{"a", "b"}, {"ab", "c"}});
  vocab.tokens[256] = "something else";  // "ab" is no token any more
  const auto t = Tokenizer::create(vocab);
  EXPECT_THAT(t->encode("abc"), ElementsAre(257));
  EXPECT_THAT(t->encode("ab"), ElementsAre('a', 'b'));
}

TEST(Bpe, BytesWithoutATokenAreLeftOutOrUnknown) {
  VocabData vocab = byte_level_vocab({});
  vocab.tokens['x'] = "not x";
  EXPECT_THAT(Tokenizer::create(vocab)->encode("axb"), ElementsAre('a', 'b'));
  vocab.unknown = add_token(vocab, "<unk>", TokenKind::kUnknown);
  EXPECT_THAT(Tokenizer::create(vocab)->encode("axb"), ElementsAre('a', 256, 'b'));
  vocab.kinds[256] = TokenKind::kControl;  // as files name <|endoftext|>: it must not end the text
  EXPECT_THAT(Tokenizer::create(vocab)->encode("axb"), ElementsAre('a', 'b'));
}

TEST(Bpe, NoMergeMakesAControlToken) {
  VocabData vocab = byte_level_vocab({{"<", "s"}, {"<s", ">"}});
  vocab.kinds[257] = TokenKind::kControl;
  vocab.pre_patterns = {"<s>"};
  for (const bool ignore : {false, true}) {
    vocab.ignore_merges = ignore;
    EXPECT_THAT(Tokenizer::create(vocab)->encode("<s>"), ElementsAre('<', 's', '>'));
  }
}

std::string random_bytes(std::mt19937& rng, size_t length, const std::string& from) {
  std::string out;
  for (size_t i = 0; i < length; ++i) {
    out += from.empty() ? static_cast<char>(rng()) : from[rng() % from.size()];
  }
  return out;
}

TEST(Bpe, AnyBytesSurviveEveryPreTokenizer) {
  std::mt19937 rng(3);
  for (const char* pre : {"gpt-2", "llama-bpe", "qwen2", "deepseek-llm", "gpt-4o", "bloom"}) {
    const auto t =
        Tokenizer::create(byte_level_vocab({{"a", "b"}, {" ", "a"}, {"\xE2", "\x82"}}, pre));
    for (int round = 0; round < 300; ++round) {
      const std::string from = round % 2 == 0 ? "" : "ab '\n1\xE2\x82\xAC\xFF";
      const std::string text = random_bytes(rng, rng() % 100, from);
      ASSERT_EQ(t->decode(t->encode(text)), text) << pre << " round " << round;
    }
  }
}

// The definition, on strings: slow and obviously right.
class NaiveBpe {
 public:
  explicit NaiveBpe(const MergePairs& merges) {
    for (const auto& pair : merges) ranks_.emplace(pair, ranks_.size());
  }

  std::vector<std::string> encode_word(const std::string& word) const {
    std::vector<std::string> parts;
    for (const char c : word) parts.emplace_back(1, c);
    while (true) {
      size_t best = ranks_.size(), at = 0;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto found = ranks_.find({parts[i], parts[i + 1]});
        if (found == ranks_.end() || found->second >= best) continue;
        best = found->second;
        at = i;
      }
      if (best == ranks_.size()) return parts;
      parts[at] += parts[at + 1];
      parts.erase(parts.begin() + at + 1);
    }
  }

 private:
  std::map<std::pair<std::string, std::string>, size_t> ranks_;
};

MergePairs random_merges(std::mt19937& rng, const std::string& letters) {
  std::vector<std::string> known;
  for (const char c : letters) known.emplace_back(1, c);
  MergePairs merges;
  std::map<std::string, int> made;
  for (int i = 0; i < 30; ++i) {
    const auto left = known[rng() % known.size()], right = known[rng() % known.size()];
    if (!made.emplace(left + right, 0).second) continue;
    merges.emplace_back(left, right);
    known.push_back(left + right);
  }
  return merges;
}

TEST(Bpe, EqualsTheDefinitionOnRandomVocabularies) {
  std::mt19937 rng(4);
  const Pretokenizer words = Pretokenizer::named("gpt-2");
  for (int round = 0; round < 60; ++round) {
    const MergePairs merges = random_merges(rng, "ab ");
    const NaiveBpe naive(merges);
    const auto t = Tokenizer::create(byte_level_vocab(merges));
    for (const size_t length : {1, 5, 40, 80, 300}) {
      const std::string text = random_bytes(rng, length, round % 2 == 0 ? "ab " : "aaaaab");
      std::vector<std::string> want, got;
      words.split(text, [&](std::string_view word) {
        for (auto& part : naive.encode_word(std::string(word))) want.push_back(std::move(part));
      });
      for (const TokenId id : t->encode(text)) got.push_back(t->piece(id));
      ASSERT_EQ(got, want) << "round " << round << ": " << text;
    }
  }
}

// Quadratic time would take hours.
TEST(Bpe, MegabytesWithoutASpace) {
  std::mt19937 rng(5);
  const auto t = Tokenizer::create(byte_level_vocab(
      {{"a", "a"}, {"aa", "aa"}, {"a", "b"}, {" ", " "}, {"\n", "\n"}}, "llama-bpe"));
  for (const char* from : {"a", "ab", " ", "\n", "\xFF", "ab\xE2\x82"}) {
    const std::string text = random_bytes(rng, 3 << 20, from);
    EXPECT_TRUE(t->decode(t->encode(text)) == text);
  }
}

TEST(Bpe, ThreadsShareOneTokenizer) {
  const auto t = Tokenizer::create(byte_level_vocab({{"a", "b"}, {" ", "ab"}}));
  const std::string text = "ab ab 123 \xFF ab";
  const Ids want = t->encode(text);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 200; ++n) {
        EXPECT_EQ(t->encode(text), want);
        EXPECT_EQ(t->decode(want), text);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace fathom::text
