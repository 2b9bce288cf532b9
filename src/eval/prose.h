// What a policy does to predictions on text that is forced: divergence from the first policy, and
// perplexity. One line a policy, length, set of positions and text.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/divergence.h"
#include "eval/library.h"

namespace fathom::eval {

struct ProseLine {
  std::string model, policy, reference;
  size_t length = 0;
  std::string positions;  // "prefill", "decode", "answer"
  std::string text;       // "generated prose", "answers", "books", or a book's name
  uint64_t seed = 0;
  size_t asked = 0;  // windows that were asked for
  Divergence result;
};

std::string prose_line(const ProseLine& line);
// Lines of an older form, which lack figures, are left out and added to `older`, unless that is
// null. Errors are Error(kBadFile) naming file, line and field.
std::vector<ProseLine> parse_prose(std::string_view text, const std::string& source,
                                   size_t* older = nullptr);

// `count` windows of `length` tokens, from as many places of the library's prose.
std::vector<ForcedText> prose_windows(const engine::Engine& engine, const Library& library,
                                      uint64_t seed, size_t length, size_t count);
// The same out of one book: evenly spread, the first at its beginning. Fewer where it is short.
std::vector<ForcedText> book_windows(const engine::Engine& engine, const Book& book, size_t length,
                                     size_t count);

}  // namespace fathom::eval
