// Python's int(), float() and round() on texts and numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fathom::text::jinja {

// int(text, base): white space around, a sign, single underscores between digits, a prefix such as
// 0x where the base allows it (0 allows all). Nothing where Python raises ValueError. Throws
// Failure beyond 64 bits.
std::optional<int64_t> parsed_integer(std::string_view text, int base);

// float(text): also "inf", "nan" and "1_000.5". Nothing where Python raises ValueError.
std::optional<double> parsed_float(std::string_view text);

// round(value, digits): halves go to the even neighbour; digits may be negative.
int64_t rounded_integer(int64_t value, int64_t digits);
double rounded_float(double value, int64_t digits);

}  // namespace fathom::text::jinja
