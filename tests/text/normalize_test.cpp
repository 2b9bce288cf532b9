#include "text/normalize.h"

#include <gtest/gtest.h>

#include <string>

namespace fathom::text {
namespace {

TEST(Nfc, ComposesWhatCanBeComposed) {
  EXPECT_EQ(to_nfc("plain"), "plain");
  EXPECT_EQ(to_nfc(""), "");
  EXPECT_EQ(to_nfc("e\xCC\x81t"), "\xC3\xA9t");                               // e + acute
  EXPECT_EQ(to_nfc("\xC3\xA9"), "\xC3\xA9");                                  // composed already
  EXPECT_EQ(to_nfc("a\xCC\x81\xCC\xA3"), "\xE1\xBA\xA1\xCC\x81");             // marks are sorted
  EXPECT_EQ(to_nfc("\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8"), "\xEA\xB0\x81");  // Hangul
  EXPECT_EQ(to_nfc("\xE2\x84\xAB"), "\xC3\x85");                              // the Angstrom sign
}

TEST(Nfc, LeavesBrokenBytesAlone) {
  EXPECT_EQ(to_nfc("e\xFF\xCC\x81"), "e\xFF\xCC\x81");  // the accent stands behind the byte
  EXPECT_EQ(to_nfc("e\xCC\x81\xE2\x82"), "\xC3\xA9\xE2\x82");
}

TEST(Nfc, LongTextsWithoutAsciiAreCutWhereNothingJoins) {
  std::string decomposed, composed;
  for (int i = 0; i < 5000; ++i) {
    decomposed += "\xD0\xB8\xCC\x86\xE1\x84\x80\xE1\x85\xA1";  // и + breve, two jamo
    composed += "\xD0\xB9\xEA\xB0\x80";
  }
  EXPECT_TRUE(to_nfc(decomposed) == composed);
}

// Quadratic time would take hours.
TEST(Nfc, MegabytesOfMarks) {
  std::string marks = "a";
  while (marks.size() < (4u << 20)) marks += "\xCC\x81\xCC\xA3";  // above, below, above, ...
  EXPECT_GE(to_nfc(marks).size(), marks.size() - 8192);
}

}  // namespace
}  // namespace fathom::text
