// A template's text, and the errors that point into it.
//
// Positions are byte offsets into the normalised text, so that the syntax tree stays small; they
// become "line:column" (counted in code points, from 1) only when an error is made.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace fathom::text::jinja {

using Position = uint32_t;

// Templates longer than this are refused: real ones are a few KiB.
inline constexpr size_t kMaxTemplateBytes = 16u << 20;

class Source {
 public:
  // Line ends become "\n" and one line end at the very end is dropped, as Jinja does on loading.
  explicit Source(std::string_view text);

  std::string_view text() const { return text_; }

  // An error at a position: "chat template:3:14: ...". Without a hint of its own it shows the line.
  Error error(Position at, const std::string& message, std::string hint = {},
              ErrorCode code = ErrorCode::kBadFile) const;

 private:
  std::string line_of(Position at) const;

  std::string text_;
};

// What went wrong while a template runs, thrown by code that does not know where in the template it
// is used. The interpreter adds the position.
struct Failure {
  std::string message;
  std::string hint;
};

template <class... Args>
Failure failure(fmt::format_string<Args...> f, Args&&... args) {
  return {fmt::format(f, std::forward<Args>(args)...), {}};
}

// What raise_exception throws: the template's own words.
struct Raised {
  std::string message;
};

// "did you mean 'x'?" for the candidate nearest to a misspelt name; empty where none is near.
std::string nearest_name_hint(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace fathom::text::jinja
