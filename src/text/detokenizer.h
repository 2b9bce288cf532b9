// Token ids to text as they are generated: every push gives what can be shown now.
//
// Never gives half a character: bytes of one are held back until it is complete. Bytes that cannot
// become a character are given as U+FFFD at once, so they hold nothing up. Not thread-safe.
#pragma once

#include <string>

#include "text/tokenizer.h"

namespace fathom::text {

class Detokenizer {
 public:
  // The tokenizer must outlive it. The text of all pushes and the flush is tokenizer.decode() of
  // all ids with invalid UTF-8 replaced, as long as control tokens are hidden.
  explicit Detokenizer(const Tokenizer& tokenizer,
                       Tokenizer::ControlTokens control = Tokenizer::ControlTokens::kHide)
      : tokenizer_(tokenizer), control_(control) {}

  // The text continues one that was shown before: a space at its beginning is a space.
  void continue_text() { fresh_ = false; }

  std::string push(TokenId id);

  // Ends the text: a character that was never completed becomes U+FFFD. Ready for another text.
  std::string flush();

 private:
  const Tokenizer& tokenizer_;
  Tokenizer::ControlTokens control_;
  std::string pending_;  // the beginning of a character
  bool fresh_ = true;    // nothing shown yet, or not since a control token
};

}  // namespace fathom::text
