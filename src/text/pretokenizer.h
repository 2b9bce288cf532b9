// Cuts text into the pieces within which byte-level BPE merges: words with their leading space,
// numbers, runs of punctuation. A token never spans two pieces.
//
// A pre-tokenizer is one or more regular expressions applied in turn. Each cuts what the one before
// left: every match is a piece, and so is what lies between two matches. Immutable; split() may be
// called from any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "text/pattern.h"

namespace fathom::text {

class Pretokenizer {
 public:
  // The patterns that GGUF's tokenizer.ggml.pre names. Throws Error(kUnsupported) for an unknown
  // name, with the list of those that are known.
  static Pretokenizer named(std::string_view name,
                            Pattern::Engine engine = Pattern::Engine::kFastest);

  explicit Pretokenizer(std::span<const std::string_view> patterns,
                        Pattern::Engine engine = Pattern::Engine::kFastest);

  // Calls `piece` for every piece, in order; together they are the text. Bytes that are not UTF-8
  // are cut as if each were a control character. No pattern: the text is one piece.
  using Piece = FunctionRef<void(std::string_view)>;
  void split(std::string_view text, Piece piece) const;

 private:
  std::vector<Pattern> steps_;
};

}  // namespace fathom::text
