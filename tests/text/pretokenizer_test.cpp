#include "text/pretokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "base/error.h"
#include "text/pretokenizer_patterns.h"
#include "text/utf8.h"

namespace fathom::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Pieces = std::vector<std::string>;

Pieces split(const Pretokenizer& pretokenizer, std::string_view text) {
  Pieces pieces;
  pretokenizer.split(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}
Pieces split(std::string_view name, std::string_view text) {
  return split(Pretokenizer::named(name), text);
}
Pieces split_by(std::string_view pattern, std::string_view text) {
  return split(Pretokenizer(std::span(&pattern, 1)), text);
}

struct SplitCase {
  const char* pre;
  const char* text;
  Pieces pieces;
};
const SplitCase kSplits[] = {
    {"gpt-2", "I'll pay  12,345!", {"I", "'ll", " pay", " ", " 12", ",", "345", "!"}},
    {"gpt-2", "'LL a\n\n b ", {"'", "LL", " a", "\n\n", " b", " "}},
    {"llama-bpe",
     "I'LL pay  12345!\n\n x",
     {"I", "'LL", " pay", " ", " ", "123", "45", "!\n\n", " x"}},
    {"llama-bpe", "a\n  \n  b", {"a", "\n  \n", " ", " b"}},
    {"qwen2", " (x)+12", {" (", "x", ")+", "1", "2"}},
    {"smollm", "a  12 b", {"a", "  ", "1", "2", " b"}},
    {"falcon", "a.b 1234", {"a", ".", "b", " ", "123", "4"}},
    {"deepseek-llm",
     "ab\xE4\xBD\xA0 \n c! 12  ",
     {"ab", "\xE4\xBD\xA0", " ", "\n", " c", "!", " ", "12", "  "}},
    {"deepseek-coder", "ab\xE4\xBD\xA0 c! 12", {"ab", "\xE4\xBD\xA0", " c", "!", " ", "1", "2"}},
    {"deepseek-v3", "a 1234 (x", {"a", " ", "123", "4", " (", "x"}},
    {"gpt-4o", "HelloWorld's ABCd/\n", {"Hello", "World's", " ABCd", "/\n"}},
    {"tekken", "HelloWorld's 12", {"Hello", "World", "'s", " ", "1", "2"}},
    {"bloom", "a b, c.", {"a", " b", ",", " c", "."}},
    {"default", "a.b 1234", {"a", ".", "b", " ", "123", "4"}},
    {"", "a.b", {"a", ".", "b"}},
};

TEST(Pretokenizer, CutsAsItsModelsDo) {
  for (const SplitCase& c : kSplits) EXPECT_EQ(split(c.pre, c.text), c.pieces) << c.pre << c.text;
}

TEST(Pretokenizer, NamesTheKnownWhereAnUnknownIsAsked) {
  try {
    Pretokenizer::named("gtp-2");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kUnsupported);
    EXPECT_THAT(e.what(), HasSubstr("gtp-2"));
    EXPECT_THAT(e.hint(), HasSubstr("gpt-2"));
    EXPECT_THAT(e.hint(), HasSubstr("qwen2"));
  }
}

TEST(Pretokenizer, WhiteSpaceIsUnicodes) {
  EXPECT_THAT(split_by(R"(\s+)", "a\xC2\x85 \xE3\x80\x80z"),  // U+0085, U+3000
              ElementsAre("a", "\xC2\x85 \xE3\x80\x80", "z"));
  EXPECT_THAT(split_by(R"(\s)", "a\xE1\xA0\x8Ez"), ElementsAre("a\xE1\xA0\x8Ez"));  // U+180E
  EXPECT_THAT(split_by(R"([x\s])", "a\xE1\xA0\x8Ez"), ElementsAre("a\xE1\xA0\x8Ez"));
  EXPECT_THAT(split_by(R"(\S+)", "a b"), ElementsAre("a", " ", "b"));
  EXPECT_THAT(split_by(R"([^\Sb]+)", "a b\nc"), ElementsAre("a", " ", "b", "\n", "c"));
  EXPECT_THAT(split_by(R"([[:digit:]\s]+)", "a1 b]2"), ElementsAre("a", "1 ", "b]", "2"));
  EXPECT_THAT(split_by(R"([]\s]+)", "a] b"), ElementsAre("a", "] ", "b"));
  EXPECT_THAT(split_by(R"([\]\s]+\\s)", "] \\s"), ElementsAre("] \\s"));
  EXPECT_THAT(split_by(R"([[a:]\s)", "x: y"), ElementsAre("x", ": ", "y"));
}

TEST(Pretokenizer, EmptyMatchesCut) {
  EXPECT_THAT(split_by(R"((?=[A-Z]))", "fooBarB"), ElementsAre("foo", "Bar", "B"));
  EXPECT_THAT(split_by(R"(x*)", "axxb\xC3\xA9"), ElementsAre("a", "xx", "b", "\xC3\xA9"));
}

TEST(Pretokenizer, NoPatternLeavesTheTextWhole) {
  EXPECT_THAT(split(Pretokenizer(std::span<const std::string_view>()), "a b"), ElementsAre("a b"));
  EXPECT_THAT(split("gpt-2", ""), ElementsAre());
}

TEST(Pretokenizer, BytesThatAreNoTextAreCutLikeControlCharacters) {
  EXPECT_THAT(split("gpt-2", "ab\xFF\xFE cd\xE2\x82"),
              ElementsAre("ab", "\xFF\xFE", " cd", "\xE2\x82"));
  EXPECT_EQ(split("gpt-2", "a\x1A\x1A 9"), (Pieces{"a", "\x1A\x1A", " 9"}));
}

TEST(Pretokenizer, RefusesPatternsItCannotRun) {
  EXPECT_THROW(split_by("(", "x"), Error);
  EXPECT_THROW(split_by(R"(\p{NoSuch})", "x"), Error);
  EXPECT_THROW(split_by(R"(\C)", "x"), Error);
  EXPECT_THROW(split_by(std::string(1 << 17, 'a'), "x"), Error);
  const std::vector<std::string_view> many(100, "a");
  EXPECT_THROW(Pretokenizer{many}, Error);
}

// Exponential patterns end in an error, never in another tokenization.
TEST(Pretokenizer, GivesUpAloud) {
  for (const auto engine : {Pattern::Engine::kFastest, Pattern::Engine::kInterpreter}) {
    const std::string_view pattern = "^(a+)+$";
    const Pretokenizer slow(std::span(&pattern, 1), engine);
    try {
      split(slow, std::string(64, 'a') + "b");
      ADD_FAILURE() << "an exponential pattern came to an end";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kUnsupported);
      EXPECT_THAT(e.what(), HasSubstr("match limit exceeded"));
    }
  }
}

std::string random_text(std::mt19937& rng) {
  static const char* const kParts[] = {" ",
                                       " ",
                                       " ",
                                       "  ",
                                       "\n",
                                       "\r\n",
                                       "\t",
                                       "a",
                                       "the",
                                       "Bar",
                                       "'s",
                                       "'LL",
                                       "'",
                                       "1",
                                       "234",
                                       ".",
                                       "!?",
                                       "$",
                                       "+",
                                       "\xC2\xA0",
                                       "\xC3\xA9",
                                       "e\xCC\x81",
                                       "\xE2\x80\xA6",
                                       "\xE3\x80\x80",
                                       "\xE4\xBD\xA0",
                                       "\xEA\xB0\x80",
                                       "\xF0\x9F\x98\x80",
                                       "\xC2\xBD",
                                       "\xD9\xA3",
                                       "\xC5\xBF",
                                       "\xE2\x96\x81",
                                       "\x01"};
  std::string text;
  for (int n = rng() % 40; n > 0; --n) text += kParts[rng() % std::size(kParts)];
  return text;
}

// Where the system's PCRE2 has no compiler the interpreter does the work; both must agree, and the
// pieces must be the text.
TEST(Pretokenizer, EveryNameGivesTheTextBackWithAndWithoutCompiler) {
  std::mt19937 rng(1);
  for (const PretokenizerFacts& facts : all_pretokenizers()) {
    const Pretokenizer fast = Pretokenizer::named(facts.name);
    const Pretokenizer slow = Pretokenizer::named(facts.name, Pattern::Engine::kInterpreter);
    for (int round = 0; round < 200; ++round) {
      const std::string text = random_text(rng);
      const Pieces pieces = split(fast, text);
      ASSERT_EQ(pieces, split(slow, text)) << facts.name << ": " << text;
      std::string joined;
      for (const std::string& piece : pieces) {
        ASSERT_FALSE(piece.empty()) << facts.name;
        joined += piece;
      }
      ASSERT_EQ(joined, text) << facts.name;
    }
  }
}

// DeepSeek's \s+$ is written differently here so that it is not quadratic; it must cut the same.
TEST(Pretokenizer, TrailingSpacePatternIsThePublishedOne) {
  std::mt19937 rng(2);
  std::vector<std::string_view> published(find_pretokenizer("deepseek-llm")->patterns.begin(),
                                          find_pretokenizer("deepseek-llm")->patterns.end());
  ASSERT_EQ(published[3], R"((?<!\s)\s++$)");
  published[3] = R"(\s+$)";
  const Pretokenizer ours = Pretokenizer::named("deepseek-llm"), theirs(published);
  for (int round = 0; round < 2000; ++round) {
    const std::string text = random_text(rng);
    ASSERT_EQ(split(ours, text), split(theirs, text)) << text;
  }
}

// Quadratic time would take hours, and a limit that was hit would throw.
TEST(Pretokenizer, MegabytesOfOneCharacter) {
  std::set<const std::string_view*> seen;
  for (const PretokenizerFacts& facts : all_pretokenizers()) {
    if (!seen.insert(facts.patterns.data()).second) continue;
    const Pretokenizer pretokenizer = Pretokenizer::named(facts.name);
    for (const char* unit :
         {" ", "a", "A", "7", "\n", "!", "\t ", "\xE4\xBD\xA0", "\xCC\x81", "\xFF"}) {
      std::string text;
      while (text.size() < (2u << 20)) text += unit;
      size_t bytes = 0;
      pretokenizer.split(text + "x", [&](std::string_view piece) { bytes += piece.size(); });
      EXPECT_EQ(bytes, text.size() + 1) << facts.name;
    }
  }
}

TEST(Pretokenizer, MegabytesWithoutCompiler) {
  const Pretokenizer pretokenizer = Pretokenizer::named("llama-bpe", Pattern::Engine::kInterpreter);
  for (const char unit : {' ', 'a', '\n', '!'}) {
    EXPECT_GE(split(pretokenizer, std::string(2 << 20, unit) + "x").size(), 1u);
  }
}

}  // namespace
}  // namespace fathom::text
