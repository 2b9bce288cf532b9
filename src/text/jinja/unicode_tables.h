// What Unicode says and utf8proc does not: small tables, each sorted by code point.
//
// Taken from the Unicode Character Database, version 14 (Python 3.11's).
#pragma once

#include <span>
#include <string_view>

namespace fathom::text::jinja {

struct CodePointRange {
  char32_t first;
  char32_t last;
};
// Lower and upper case by property although not letters of category Ll or Lu.
std::span<const CodePointRange> other_lower();
std::span<const CodePointRange> other_upper();
// Digits that form no decimal numbers: superscripts, circled digits.
std::span<const CodePointRange> digits_not_decimal();
// Letters that mean a number: Han numerals.
std::span<const CodePointRange> numeric_letters();

// Characters whose upper or title case is more than one character.
struct SpecialCase {
  char32_t from;
  std::u32string_view to;
};
std::span<const SpecialCase> special_upper();
std::span<const SpecialCase> special_title();

}  // namespace fathom::text::jinja
