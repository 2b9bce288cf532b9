// Texts to compare policies on: prose with facts in it, and the facts said once more, which only
// somebody who finds them again predicts.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/runner.h"
#include "text/tokenizer.h"

namespace fathom::eval {

struct Window {
  std::vector<engine::TokenId> text;   // to be read
  std::vector<engine::TokenId> facts;  // then to be forced one by one

  size_t length() const { return text.size() + facts.size(); }
};

struct WindowPlan {
  size_t windows = 1;
  size_t length = 0;  // tokens of each, about
};

// `own`: the user's text, cut into pieces; "": generated prose. Fewer windows where the text is
// short. Throws Error(kUsage) where it is too short for one.
std::vector<Window> make_windows(const text::Tokenizer& tokenizer, const WindowPlan& plan,
                                 const std::string& own);

}  // namespace fathom::eval
