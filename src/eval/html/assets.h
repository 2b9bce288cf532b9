// What the page looks like, and what it does: style and script, put into it as they are.
#pragma once

#include <string_view>

namespace fathom::eval::html {

std::string_view style();
std::string_view script();

}  // namespace fathom::eval::html
