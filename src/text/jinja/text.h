// Python's algorithms on text, on bytes where code points do not matter. Every one takes time
// linear in the sizes of its operands.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/runtime.h"

namespace fathom::text::jinja {

// Where `part` begins in `text`, from `from` on; npos where it does not.
size_t find_part(std::string_view text, std::string_view part, size_t from = 0);
// text.count(part).
size_t count_parts(std::string_view text, std::string_view part);
// Where it begins last; npos where it does not.
size_t find_last_part(std::string_view text, std::string_view part);

enum class Sides { kLeft, kRight, kBoth };
// Without the leading or trailing characters that are among `chars`; white space where not given.
std::string_view strip(std::string_view text, Sides sides,
                       std::optional<std::string_view> chars = std::nullopt);

// text.replace(old, replacement, most); all where `most` is negative.
std::string replaced(Runtime& run, std::string_view text, std::string_view old,
                     std::string_view replacement, int64_t most = -1);

using Pieces = std::vector<std::string_view>;
// text.split(separator, most) and rsplit; at white space where no separator is given; everywhere
// where `most` is negative. REQUIRES: the separator is not empty.
Pieces split(Runtime& run, std::string_view text, std::optional<std::string_view> separator,
             int64_t most = -1);
Pieces split_from_right(Runtime& run, std::string_view text,
                        std::optional<std::string_view> separator, int64_t most = -1);
enum class LineEnds { kDrop, kKeep };
Pieces split_lines(Runtime& run, std::string_view text, LineEnds ends = LineEnds::kDrop);

// text.center(width, fill) and its siblings: kLeft puts the padding on the left. `fill` is one
// character.
std::string padded(Runtime& run, std::string_view text, int64_t width, Sides sides,
                   std::string_view fill = " ");

// Joins the texts of values. Throws Failure for a value that is no text.
std::string joined(Runtime& run, std::string_view separator, const std::vector<Value>& values);

Value list_of_texts(Runtime& run, const Pieces& pieces);

}  // namespace fathom::text::jinja
