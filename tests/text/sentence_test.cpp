#include "text/sentence.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace fathom::text {
namespace {

using Strings = std::vector<std::string>;

Strings split(std::string_view text) {
  Strings out;
  size_t begin = 0;
  for (const size_t end : sentence_ends(text)) {
    out.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return out;
}

TEST(Sentences, EndAtMarksWithWhatClosesThem) {
  EXPECT_EQ(split("One. Two! Three? Four"), (Strings{"One. ", "Two! ", "Three? ", "Four"}));
  EXPECT_EQ(split("He said \"Go.\" She went."), (Strings{"He said \"Go.\" ", "She went."}));
  EXPECT_EQ(split("What?! (Really.) Yes."), (Strings{"What?! ", "(Really.) ", "Yes."}));
  EXPECT_EQ(split("\u201cStop.\u201d He did."), (Strings{"\u201cStop.\u201d ", "He did."}));
}

TEST(Sentences, DoNotEndInsideWordsAndNumbers) {
  EXPECT_EQ(split("Pi is 3.14 or so. See example.org/a.b now.").size(), 2u);
  EXPECT_EQ(split("yes. no lower case begins").size(), 1u);
  EXPECT_EQ(split("Was it?or not").size(), 1u);
}

TEST(Sentences, AbbreviationsAndInitials) {
  EXPECT_EQ(split("Dr. Smith met Mr. J. S. Bach. They sang."),
            (Strings{"Dr. Smith met Mr. J. S. Bach. ", "They sang."}));
  EXPECT_EQ(split("Under 42 U.S.C. Sec. 7.1.4 it holds. It does."),
            (Strings{"Under 42 U.S.C. Sec. 7.1.4 it holds. ", "It does."}));
  EXPECT_EQ(split("He left the U.S. The rest stayed."),
            (Strings{"He left the U.S. ", "The rest stayed."}));
  EXPECT_EQ(split("The U.S. Navy came."), (Strings{"The U.S. Navy came."}));
  EXPECT_EQ(split("Apples, pears, etc. Then more."),
            (Strings{"Apples, pears, etc. ", "Then more."}));
  EXPECT_EQ(split("See Fig. 3 and pp. 4-5, e.g. Table 2. Done."),
            (Strings{"See Fig. 3 and pp. 4-5, e.g. Table 2. ", "Done."}));
  EXPECT_EQ(split("It was I. He knew."), (Strings{"It was I. ", "He knew."}));
}

TEST(Sentences, Ellipses) {
  EXPECT_EQ(split("Well... maybe. So..."), (Strings{"Well... maybe. ", "So..."}));
  EXPECT_EQ(split("Well... Maybe\u2026 Yes"), (Strings{"Well... ", "Maybe\u2026 ", "Yes"}));
}

TEST(Sentences, LinesAndLists) {
  EXPECT_EQ(
      split("A title\n\nSome text\nthat goes on\n- one\n- two\n3. three"),
      (Strings{"A title\n\n", "Some text\nthat goes on\n", "- one\n", "- two\n", "3. three"}));
}

TEST(Sentences, ChineseAndJapaneseStops) {
  EXPECT_EQ(split("\u4f60\u597d\u3002\u518d\u89c1\uff01"),
            (Strings{"\u4f60\u597d\u3002", "\u518d\u89c1\uff01"}));
}

// Whatever the bytes: ends ascend and the last is the text's.
TEST(Sentences, PartitionAnything) {
  std::mt19937 rng(11);
  const std::string pieces = ".!?\"')( \n\xe3\x80\x82\xe2\x80\xa6 aZ9-#";
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (size_t n = rng() % 40; n > 0; --n) text += pieces[rng() % pieces.size()];
    size_t last = 0;
    for (const size_t end : sentence_ends(text)) {
      ASSERT_GT(end, last) << text;
      last = end;
    }
    ASSERT_EQ(last, text.size());
  }
}

TEST(Sentences, AsTokens) {
  // "One. Two." in tokens "One" "." " Two" ".": the blank after the first full stop belongs to the
  // first sentence, so the token that begins with it does.
  const std::vector<size_t> sentences = sentence_ends("One. Two.");
  EXPECT_EQ(sentences, (std::vector<size_t>{5, 9}));
  EXPECT_EQ(sentence_token_ends(std::vector<size_t>{4, 9}, std::vector<size_t>{3, 4, 8, 9}),
            (std::vector<int32_t>{2, 4}));
  EXPECT_EQ(sentence_token_ends(std::vector<size_t>{2, 3, 9}, std::vector<size_t>{4, 9}),
            (std::vector<int32_t>{1, 2}));
}

}  // namespace
}  // namespace fathom::text
