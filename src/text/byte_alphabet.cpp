#include "text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "text/utf8.h"

namespace fathom::text {
namespace {

constexpr bool is_printable_latin1(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

constexpr int kUnprintable = 68;  // bytes that are written U+0100 + their rank among themselves
constexpr int kLetters = 0x100 + kUnprintable;

struct Alphabet {
  std::array<char32_t, 256> letter{};
  std::array<int16_t, kLetters> byte{};  // -1: no letter of the alphabet
};

constexpr Alphabet make_alphabet() {
  Alphabet a;
  for (auto& b : a.byte) b = -1;
  int next = 0x100;
  for (int b = 0; b < 256; ++b) {
    const int letter = is_printable_latin1(b) ? b : next++;
    a.letter[b] = static_cast<char32_t>(letter);
    a.byte[letter] = static_cast<int16_t>(b);
  }
  return a;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::string to_byte_alphabet(std::string_view bytes) {
  std::string out;
  for (const char b : bytes) append_utf8(kAlphabet.letter[static_cast<uint8_t>(b)], out);
  return out;
}

std::string from_byte_alphabet(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Utf8Char c = decode_utf8(text);
    const bool letter =
        c.status == Utf8Status::kValid && c.code < kLetters && kAlphabet.byte[c.code] >= 0;
    if (letter) {
      out += static_cast<char>(kAlphabet.byte[c.code]);
    } else {
      out += text.substr(0, c.length);
    }
    text.remove_prefix(c.length);
  }
  return out;
}

}  // namespace fathom::text
