// The methods of Python's str, dict, list, tuple and float that templates may call.
#pragma once

#include <optional>
#include <string_view>

#include "text/jinja/arguments.h"
#include "text/jinja/runtime.h"

namespace fathom::text::jinja {

// value.name as a method of the value's type, or what the sandbox makes of the name: an undefined
// value that says so where the method would change the value or is private. Nothing where the type
// has no such attribute.
std::optional<Value> method_of(Runtime& run, const Value& value, std::string_view name);

}  // namespace fathom::text::jinja
