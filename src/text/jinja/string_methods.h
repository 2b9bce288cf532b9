// The methods of Python's str.
#pragma once

#include <span>

#include "text/jinja/arguments.h"

namespace fathom::text::jinja {

// What a method does where the text is markup.
enum class OnMarkup {
  kPlain,    // returns plain text
  kKeeps,    // returns markup
  kEscapes,  // escapes its text arguments and returns markup
};

struct StringMethod {
  Builtin builtin;
  OnMarkup on_markup;
};
std::span<const StringMethod> string_methods();

}  // namespace fathom::text::jinja
