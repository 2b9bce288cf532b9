// The literals of template expressions: where they end in the text, and what they mean.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fathom::text::jinja {

// The end of the number that begins at `at`; nothing where none begins there.
std::optional<size_t> end_of_float(std::string_view text, size_t at);
std::optional<size_t> end_of_integer(std::string_view text, size_t at);

// REQUIRES: text that the functions above found. Nothing where 64 bits do not hold the integer.
std::optional<int64_t> integer_value(std::string_view literal);
double float_value(std::string_view literal);

// What a string literal's body (without its quotes) means after backslash escapes. Throws Failure.
std::string unescaped(std::string_view body);

}  // namespace fathom::text::jinja
