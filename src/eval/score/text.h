// Text as scorers compare it. Input is any bytes; what is not UTF-8 is kept as it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom::eval {

std::string lower(std::string_view text);  // by Unicode's simple mapping
std::string_view trim(std::string_view text);
bool contains_ignoring_case(std::string_view text, std::string_view part);

// Characters below 0x20 become spaces; the ends are trimmed.
std::string clean_output(std::string_view output);

// Non-empty parts between characters of `separators`.
std::vector<std::string_view> split(std::string_view text, std::string_view separators);

// The characters of a text, one string each.
std::vector<std::string> characters(std::string_view text);
bool is_punctuation(std::string_view character);  // ASCII punctuation, Unicode categories P*
bool is_space(std::string_view character);        // ASCII white space, Unicode category Zs

}  // namespace fathom::eval
