// JSON in and out: the variables that a caller gives, and what json.dumps makes of values.
#pragma once

#include <optional>
#include <string>

#include "text/jinja/runtime.h"

namespace fathom::text::jinja {

// Throws Failure for what no template value can be: binary data, integers beyond 64 bits.
Value from_json(Runtime& run, const ChatTemplate::Json& json);

struct JsonStyle {
  bool ascii = false;  // characters beyond ASCII as \u escapes
  bool sort_keys = false;
  std::optional<std::string> indent;  // one level's; everything on one line where not given
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
// Throws Failure for values that JSON does not have.
std::string to_json(Runtime& run, const Value& value, const JsonStyle& style);

}  // namespace fathom::text::jinja
