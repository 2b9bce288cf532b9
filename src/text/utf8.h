// UTF-8, one character at a time, for input that may not be UTF-8 at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fathom::text {

enum class Utf8Status : uint8_t {
  kValid,
  kInvalid,    // no continuation makes these bytes a character
  kTruncated,  // the text ends inside what may become a character
};

struct Utf8Char {
  char32_t code = 0xFFFD;  // U+FFFD unless valid
  uint32_t length = 1;     // bytes; of an invalid sequence its longest well-formed beginning, or 1
  Utf8Status status = Utf8Status::kInvalid;
};

// The first character. REQUIRES: text is not empty.
Utf8Char decode_utf8(std::string_view text);

void append_utf8(char32_t code, std::string& out);
std::string to_utf8(char32_t code);

bool is_valid_utf8(std::string_view text);

// Moves every complete character of `bytes` to `out`, each impossible sequence as one U+FFFD, and
// leaves in `bytes` only a character that has begun (at most 3 bytes).
void take_complete_utf8(std::string& bytes, std::string& out);

}  // namespace fathom::text
