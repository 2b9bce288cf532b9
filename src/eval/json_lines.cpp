#include "eval/json_lines.h"

#include <algorithm>

#include "base/error.h"
#include "eval/score/text.h"

namespace fathom::eval {
namespace {

using file::Json;
using file::JsonView;

// 64 MiB of a line hold a context of about 16 million tokens.
constexpr file::JsonLimits kLimits{.bytes = size_t{64} << 20, .depth = 16, .values = 1u << 20};

// Answers may be numbers in published files.
std::string scalar_text(const JsonView& view) {
  std::string out = view.json().is_number() ? view.json().dump() : view.as_text();
  if (trim(out).empty()) throw bad_field(view, "is empty: every output would contain it");
  return out;
}

Strings text_list(const JsonView& view, std::string (*element)(const JsonView&)) {
  if (!view.is_array()) return {element(view)};
  Strings out;
  for (size_t i = 0; i < view.size(); ++i) out.push_back(element(view.element(i)));
  return out;
}

}  // namespace

Error bad_field(const JsonView& view, std::string_view what) {
  return bad_file(view.source(), "'{}' {}", view.path(), what);
}

Strings gold_list(const JsonView& view) {
  Strings out = text_list(view, scalar_text);
  if (out.empty()) throw bad_field(view, "names no answer");
  return out;
}

Strings options_of(const JsonView& object) {
  const auto options = object.find("options");
  if (!options) return {};
  return text_list(*options, [](const JsonView& v) { return v.as_text(); });
}

size_t size_of(const JsonView& object, const std::string& key) {
  const auto value = object.integer(key);
  if (value && *value < 0) {
    throw bad_file(object.source(), "'{}' is {}, below 0", key, *value);
  }
  return static_cast<size_t>(value.value_or(0));
}

// A name that is a text, or an index as published files have it.
std::string name_of(const JsonView& object, const std::string& key) {
  const auto value = object.find(key);
  if (!value) return "";
  return value->json().is_number_integer() ? value->json().dump() : value->as_text();
}

// Calls read for the object of every line that is not blank, with a source that names the line.
void each_json_line(std::string_view text, const std::string& source,
                    FunctionRef<void(const JsonView&)> read) {
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (trim(line).empty()) continue;
    const std::string where = fmt::format("{}:{}", source, number);
    const Json json = file::parse_json(line, where, kLimits);
    read(JsonView(json, where));
  }
}

}  // namespace fathom::eval
