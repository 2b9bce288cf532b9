// Where sentences end, in any text: rules after Punkt's runtime (Kiss and Strunk, 2006,
// "Unsupervised Multilingual Sentence Boundary Detection") with a built-in list of abbreviations
// and no training.
//
// A sentence ends after '.', '!', '?' or an ellipsis, with the quotes and brackets that close it,
// and the blanks that follow; after CJK full stops; at a blank line; before a list marker at the
// beginning of a line. A full stop does not end one inside a word or number ("3.14", "U.S."), after
// an abbreviation ("Dr.") or an initial ("J. Bach") that is not followed by a likely beginning, or
// before a lower-case word. Spans partition the text. Bytes that are no UTF-8 count as letters.
// O(n), no allocation beside the result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace fathom::text {

// Byte offsets after each sentence, ascending; the last is text.size(). Empty for an empty text.
std::vector<size_t> sentence_ends(std::string_view text);

// The same as token positions: token t covers the text's bytes up to token_ends[t] (ascending). A
// token that two sentences share goes to the earlier; sentences that get no token vanish.
std::vector<int32_t> sentence_token_ends(std::span<const size_t> sentence_ends,
                                         std::span<const size_t> token_ends);

}  // namespace fathom::text
