// Python's two ways to fill values into a text: "%5.2f" % x and "{:>5}".format(x).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/runtime.h"

namespace fathom::text::jinja {

// format % values, where values is a tuple, a dict or a single value.
Value formatted_with_percent(Runtime& run, const Value& format, const Value& values);

// format.format(...), with attributes and items looked up through the sandbox.
Value formatted_with_braces(Runtime& run, const Value& format, const Arguments& arguments);

// How a number is written: what both mini-languages ask for in the end.
struct NumberStyle {
  char type = 'd';         // d, x, X, o, b; f, F, e, E, g, G
  int precision = -1;      // -1: the type's own
  char sign = '-';         // '-': only of negative numbers; '+' or ' ': of the others too
  bool alternate = false;  // "#"
  char grouping = 0;       // ',' or '_' between groups of digits; 0: none
};
// A number in parts, so that zeros can be put behind the sign and prefix.
struct NumberText {
  std::string sign;
  std::string prefix;  // "0x"
  std::string digits;
};
NumberText integer_text(Runtime& run, int64_t value, const NumberStyle& style);
NumberText float_text(Runtime& run, double value, const NumberStyle& style);

// Puts separators between groups of the digits in front of the point.
std::string grouped(std::string_view digits, char separator, size_t group);

// Number of a width or precision in a format, at `at`, which moves behind it; nothing where there
// are no digits. Throws Failure for numbers that no text could have as its length.
std::optional<int> format_size(std::string_view format, size_t& at);

}  // namespace fathom::text::jinja
