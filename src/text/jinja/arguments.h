// Matches the arguments of a call to the parameters of a builtin, as Python would.
//
// Builtins declare parameters in a string: "old new count?" where "?" marks what may be left out.
// A leading "/" refuses keyword arguments; "*" alone takes whatever comes, unmatched.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "text/jinja/object.h"

namespace fathom::text::jinja {

class Bound {
 public:
  static constexpr size_t kMaxParameters = 5;

  // `function` is the name in messages. Throws Failure where the arguments do not fit.
  Bound(std::string_view function, std::string_view parameters, Arguments arguments);

  bool given(size_t i) const { return values_[i] != nullptr; }
  // None where it was left out.
  const Value& operator[](size_t i) const { return given(i) ? *values_[i] : kNone; }

  // Typed access; the fallback where the argument was left out. Throws Failure for other types.
  int64_t integer(size_t i, int64_t fallback) const;
  bool truth(Runtime& run, size_t i, bool fallback) const;
  const std::string& text(size_t i) const;

  // Everything, for "*".
  const Arguments& all() const { return arguments_; }

 private:
  static const Value kNone;

  void bind_positional(std::span<const std::string_view> names);
  void bind_named(std::span<const std::string_view> names);

  std::string_view function_;
  Arguments arguments_;
  std::array<const Value*, kMaxParameters> values_{};
};

// One builtin of a table: a filter, a test or a method. `subject` is what is left of "|", "is",
// ".".
struct Builtin {
  using Body = Value (*)(Runtime& run, const Value& subject, const Bound& arguments);

  std::string_view name;
  std::string_view parameters;
  Body body;  // nullptr: Jinja has it, Fathom does not offer it

  Value operator()(Runtime& run, const Value& subject, Arguments arguments) const;
};

}  // namespace fathom::text::jinja
