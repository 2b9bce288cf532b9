// How values look as text: Python's str() and repr().
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/runtime.h"

namespace fathom::text::jinja {

// str(value): what {{ value }} prints.
void write_text(Runtime& run, TextBuilder& out, const Value& value);
std::string to_text(Runtime& run, const Value& value);

void write_repr(Runtime& run, TextBuilder& out, const Value& value);
std::string to_repr(Runtime& run, const Value& value);
// The repr of a name or number for a message, cut to about `length` characters.
std::string short_repr(Runtime& run, const Value& value, size_t length);

// 'it', "it's": a text in quotes with Python's escapes.
std::string in_quotes(std::string_view text);
// Python's ascii(): characters beyond ASCII as escapes.
std::string ascii_only(std::string_view text);
// The shortest digits that read back as the same float: 0.1, 1e+16, inf.
std::string float_repr(double value);

// Text as HTML: & < > ' " become entities.
std::string html_escaped(Runtime& run, std::string_view text);
// The escape filter's rule: markup stays, everything else is escaped.
std::string escaped_text(Runtime& run, const Value& value);

}  // namespace fathom::text::jinja
