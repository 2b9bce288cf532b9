#include "text/detokenizer.h"

#include "text/utf8.h"

namespace fathom::text {

std::string Detokenizer::push(TokenId id) {
  std::string text = tokenizer_.piece(id, control_);
  const bool control = tokenizer_.kind(id) == TokenKind::kControl;
  if (!text.empty()) {
    const bool strip = fresh_ && text[0] == ' ' && tokenizer_.strips_leading_space();
    pending_.append(text, strip ? 1 : 0);
    fresh_ = false;
  }
  if (control) fresh_ = true;
  std::string ready;
  take_complete_utf8(pending_, ready);
  return ready;
}

std::string Detokenizer::flush() {
  std::string rest = pending_.empty() ? "" : to_utf8(0xFFFD);
  pending_.clear();
  fresh_ = true;
  return rest;
}

}  // namespace fathom::text
