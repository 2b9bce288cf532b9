// Unicode normalization of text that may be anything.
#pragma once

#include <string>
#include <string_view>

namespace fathom::text {

// NFC: letters and their accents as one character where there is one. Bytes that are not UTF-8 stay
// as they are. Linear time: a run of hundreds of combining characters, which no writing has, is
// normalized in parts.
std::string to_nfc(std::string_view text);

}  // namespace fathom::text
