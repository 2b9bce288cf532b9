// The alphabet in which byte-level vocabularies write their tokens: each of the 256 bytes is one
// printable character, itself where it is printable in Latin-1 and U+0100 upwards where not, so
// that a space is written U+0120 and a newline U+010A.
#pragma once

#include <string>
#include <string_view>

namespace fathom::text {

std::string to_byte_alphabet(std::string_view bytes);

// Characters outside the alphabet, and bytes that are not UTF-8, stand for themselves.
std::string from_byte_alphabet(std::string_view text);

}  // namespace fathom::text
