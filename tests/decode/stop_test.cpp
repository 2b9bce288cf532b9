#include "decode/stop.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fathom::decode {
namespace {

// All text shown, with '|' where it stopped.
std::string shown(std::vector<std::string> stops, const std::vector<std::string>& pieces) {
  StopStrings s(std::move(stops));
  std::string out;
  for (const std::string& piece : pieces) {
    const auto r = s.push(piece);
    out += r.text;
    if (r.stopped) return out + "|";
  }
  return out + s.flush();
}

TEST(StopStrings, WithinAndAcrossPieces) {
  EXPECT_EQ(shown({"END"}, {"one END two"}), "one |");
  EXPECT_EQ(shown({"END"}, {"one E", "N", "D two"}), "one |");
  EXPECT_EQ(shown({"END"}, {"one EN", "GLAND"}), "one ENGLAND");
  EXPECT_EQ(shown({"END"}, {"one EN"}), "one EN");
  EXPECT_EQ(shown({"aab"}, {"a", "a", "a", "b"}), "a|");
  EXPECT_EQ(shown({"\n\n", "User:"}, {"hi\n", "User", ": x"}), "hi\n|");
  EXPECT_EQ(shown({}, {"a", "b"}), "ab");
  EXPECT_EQ(shown({""}, {"a", "b"}), "ab");
}

TEST(StopStrings, TheEarliestWins) {
  StopStrings s({"two", "one"});
  EXPECT_EQ(s.push("a one two").text, "a ");
  EXPECT_EQ(s.found(), "one");
}

TEST(StopStrings, HoldsBackOnlyWhatCouldStop) {
  StopStrings s({"###"});
  EXPECT_EQ(s.push("text #").text, "text ");
  EXPECT_EQ(s.push("#").text, "");
  EXPECT_EQ(s.push("x").text, "##x");
}

}  // namespace
}  // namespace fathom::decode
