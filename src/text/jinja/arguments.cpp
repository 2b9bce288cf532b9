#include "text/jinja/arguments.h"

#include <algorithm>

#include "text/jinja/operations.h"

namespace fathom::text::jinja {
namespace {

struct Parameters {
  std::array<std::string_view, Bound::kMaxParameters> names;
  size_t count = 0;
  size_t required = 0;
  bool takes_keywords = true;
};

Parameters parsed(std::string_view text) {
  Parameters out;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    std::string_view name = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (name == "/") {
      out.takes_keywords = false;
      continue;
    }
    if (name.back() == '?') {
      name.remove_suffix(1);
    } else {
      ++out.required;
    }
    FATHOM_CHECK(out.count < Bound::kMaxParameters);
    out.names[out.count++] = name;
  }
  return out;
}

}  // namespace

const Value Bound::kNone;

Bound::Bound(std::string_view function, std::string_view parameters, Arguments arguments)
    : function_(function), arguments_(std::move(arguments)) {
  if (parameters == "*") return;
  const Parameters expected = parsed(parameters);
  const std::span<const std::string_view> names(expected.names.data(), expected.count);
  if (!expected.takes_keywords && !arguments_.named.empty()) {
    throw failure("{}() takes no keyword arguments", function_);
  }
  bind_positional(names);
  bind_named(names);
  for (size_t i = 0; i < expected.required; ++i) {
    if (!given(i)) {
      throw failure("{}() is missing the argument '{}'; it takes ({})", function_, names[i],
                    parameters);
    }
  }
}

void Bound::bind_positional(std::span<const std::string_view> names) {
  if (arguments_.positional.size() > names.size()) {
    throw failure("{}() takes at most {} argument{} ({} given)", function_, names.size(),
                  names.size() == 1 ? "" : "s", arguments_.positional.size());
  }
  for (size_t i = 0; i < arguments_.positional.size(); ++i) values_[i] = &arguments_.positional[i];
}

void Bound::bind_named(std::span<const std::string_view> names) {
  for (const auto& [name, value] : arguments_.named) {
    const size_t i =
        static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    if (i == names.size()) {
      throw Failure{fmt::format("{}() got an unexpected keyword argument '{}'", function_, name),
                    nearest_name_hint(name, names)};
    }
    if (given(i)) throw failure("{}() got multiple values for argument '{}'", function_, name);
    values_[i] = &value;
  }
}

int64_t Bound::integer(size_t i, int64_t fallback) const {
  return given(i) ? as_index(*values_[i]) : fallback;
}

bool Bound::truth(Runtime& run, size_t i, bool fallback) const {
  return given(i) ? jinja::truth(run, *values_[i]) : fallback;
}

const std::string& Bound::text(size_t i) const {
  const Value& value = (*this)[i];
  if (!value.is_text()) {
    throw failure("{}() argument {} must be str, not {}", function_, i + 1, type_name(value));
  }
  return value.bytes();
}

Value Builtin::operator()(Runtime& run, const Value& subject, Arguments arguments) const {
  if (body == nullptr) throw failure("'{}' is not offered here", name);
  run.step();
  return body(run, subject, Bound(name, parameters, std::move(arguments)));
}

}  // namespace fathom::text::jinja
