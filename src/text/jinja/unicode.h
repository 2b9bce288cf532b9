// Text as Python sees it: a sequence of code points with Unicode's properties.
//
// Text may hold invalid UTF-8. Each byte that is not part of a valid sequence counts as one code
// point, 0xDC00 + byte (Python's "surrogateescape"), and is written back as that byte, so that no
// operation here loses or invents bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fathom::text::jinja {

struct Decoded {
  char32_t value;
  size_t bytes;  // at least 1
};
Decoded decode_beyond_ascii(std::string_view text, size_t at);
// REQUIRES: at < text.size().
inline Decoded decode_at(std::string_view text, size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  return first < 0x80 ? Decoded{first, 1} : decode_beyond_ascii(text, at);
}
void append_code_point(std::string& out, char32_t c);

std::u32string decode(std::string_view text);
std::string encode(std::u32string_view code_points);

size_t count_code_points(std::string_view text);
// The offset in bytes of the nth code point; text.size() where there are fewer.
size_t code_point_offset(std::string_view text, size_t n);

// Properties, as str.isspace() and its siblings ask them of each character.
bool is_space(char32_t c);
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_lower(char32_t c);
bool is_upper(char32_t c);
bool is_title(char32_t c);
bool is_printable(char32_t c);
inline bool is_cased(char32_t c) { return is_lower(c) || is_upper(c) || is_title(c); }
inline bool is_alnum(char32_t c) { return is_alpha(c) || is_numeric(c); }
// \w of Python's regular expressions.
inline bool is_word(char32_t c) { return c == '_' || is_alnum(c); }
// May stand in a name of a template; only the second may begin one.
bool is_name_part(char32_t c);
bool is_name_start(char32_t c);

// Bytes of white space at the two ends of a text, and the text without them.
size_t leading_space(std::string_view text);
size_t trailing_space(std::string_view text);
std::string_view stripped(std::string_view text);

// Whole-text case mappings, with the special cases ('ß' has the upper case 'SS').
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_title(std::string_view text);
std::string capitalized(std::string_view text);
std::string swapped_case(std::string_view text);
std::string case_folded(std::string_view text);

}  // namespace fathom::text::jinja
