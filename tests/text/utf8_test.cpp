#include "text/utf8.h"

#include <gtest/gtest.h>

#include "text/byte_alphabet.h"

namespace fathom::text {
namespace {

TEST(Utf8, EveryCharacterSurvives) {
  for (char32_t code = 0; code < 0x110000; ++code) {
    if (code >= 0xD800 && code < 0xE000) continue;
    const std::string bytes = to_utf8(code);
    const Utf8Char c = decode_utf8(bytes);
    ASSERT_EQ(c.status, Utf8Status::kValid) << std::hex << static_cast<uint32_t>(code);
    ASSERT_EQ(c.code, code);
    ASSERT_EQ(c.length, bytes.size());
    // Every proper beginning may still become the character.
    for (size_t n = 1; n < bytes.size(); ++n) {
      ASSERT_EQ(decode_utf8(bytes.substr(0, n)).status, Utf8Status::kTruncated);
    }
  }
}

struct InvalidCase {
  const char* bytes;
  uint32_t length;  // of the well-formed beginning
  const char* name;
};
const InvalidCase kInvalid[] = {
    {"\x80", 1, "lone continuation"},     {"\xC0\x80", 1, "overlong NUL"},
    {"\xC1\xBF", 1, "overlong DEL"},      {"\xE0\x80\x80", 1, "overlong, 3 bytes"},
    {"\xED\xA0\x80", 1, "surrogate"},     {"\xF0\x80\x80\x80", 1, "overlong, 4 bytes"},
    {"\xF4\x90\x80\x80", 1, "too large"}, {"\xF5\x80\x80\x80", 1, "no such lead"},
    {"\xE2\x82x", 2, "broken off"},       {"\xF0\x9F\x98x", 3, "broken off late"},
    {"\xFF", 1, "never a byte"},
};

TEST(Utf8, RefusesWhatIsNoCharacter) {
  for (const InvalidCase& c : kInvalid) {
    const Utf8Char decoded = decode_utf8(c.bytes);
    EXPECT_EQ(decoded.status, Utf8Status::kInvalid) << c.name;
    EXPECT_EQ(decoded.length, c.length) << c.name;
    EXPECT_FALSE(is_valid_utf8(std::string("eight ascii bytes") + c.bytes)) << c.name;
  }
  EXPECT_FALSE(is_valid_utf8("abc\xE2\x82"));
  EXPECT_TRUE(is_valid_utf8("plain ascii, then \xE2\x82\xAC and more ascii"));
  EXPECT_TRUE(is_valid_utf8(""));
}

TEST(Utf8, TakesCompleteCharactersAndKeepsTheRest) {
  std::string bytes = "a\xE2\x82\xACz\xFFq\xE2\x82";
  std::string out;
  take_complete_utf8(bytes, out);
  EXPECT_EQ(out, "a\xE2\x82\xACz\xEF\xBF\xBDq");
  EXPECT_EQ(bytes, "\xE2\x82");
  bytes += "x";  // the character can no longer come
  take_complete_utf8(bytes, out);
  EXPECT_EQ(out, "a\xE2\x82\xACz\xEF\xBF\xBDq\xEF\xBF\xBDx");
  EXPECT_TRUE(bytes.empty());
}

TEST(ByteAlphabet, NamesEveryByteOnce) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(from_byte_alphabet(to_byte_alphabet(all)), all);
  EXPECT_EQ(to_byte_alphabet(" \n!~"), "\xC4\xA0\xC4\x8A!~");  // U+0120, U+010A
}

TEST(ByteAlphabet, LeavesOtherCharactersAlone) {
  EXPECT_EQ(from_byte_alphabet("\xE2\x96\x81of"), "\xE2\x96\x81of");
  EXPECT_EQ(from_byte_alphabet(" "), " ");
  EXPECT_EQ(from_byte_alphabet("\xFF\xC4"), "\xFF\xC4");
}

}  // namespace
}  // namespace fathom::text
