// Tables of templates and what they render as. The templates are our own; what the tables expect is
// what Jinja2 3.1.2 prints for them, in the immutable sandbox with trim_blocks and lstrip_blocks.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "text/chat_template.h"

namespace fathom::text::test {

struct Case {
  std::string_view source;
  std::string_view expected;
};
struct BadCase {
  std::string_view source;
  std::string_view message;  // all of what(): "chat template:1:4: ..."
};

// The variables that tables use: short names for values of every kind.
const ChatTemplate::Json& sample_variables();

// Renders with noon of Friday, 26 July 2024 as the present.
std::string render(std::string_view source,
                   const ChatTemplate::Json& variables = sample_variables());

void expect_renders(std::span<const Case> cases,
                    const ChatTemplate::Json& variables = sample_variables());
// Every template fails, in parsing or in rendering, with Error(kBadFile) and just that message.
void expect_fails(std::span<const BadCase> cases,
                  const ChatTemplate::Json& variables = sample_variables());

}  // namespace fathom::text::test
