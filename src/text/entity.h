// What stands in markup for the characters that it reads itself.
#pragma once

#include <string_view>

namespace fathom::text {

// "" for a character that may stand as it is, in element content and in quoted attributes.
constexpr std::string_view markup_entity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '\'':
      return "&#39;";
    case '"':
      return "&#34;";
    default:
      return {};
  }
}

}  // namespace fathom::text
