#include "text/jinja/attribute_path.h"

#include <algorithm>

#include "text/jinja/literal.h"
#include "text/jinja/operations.h"
#include "text/jinja/text.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

Value path_part(Runtime& run, std::string_view part) {
  const bool is_number = !part.empty() && std::all_of(part.begin(), part.end(),
                                                      [](char c) { return c >= '0' && c <= '9'; });
  if (is_number) {
    const std::string_view digits =
        part.substr(std::min(part.find_first_not_of('0'), part.size() - 1));
    if (const auto value = integer_value(digits)) return *value;
  }
  return run.text(std::string(part));
}

}  // namespace

AttributePath::AttributePath(Runtime& run, const Value& attribute) {
  if (attribute.is_none()) return;
  if (!attribute.is_text()) {
    parts_.push_back(attribute);
    return;
  }
  for (const std::string_view part : split(run, attribute.bytes(), ".")) {
    parts_.push_back(path_part(run, part));
  }
}

Value AttributePath::of(Runtime& run, const Value& item, const Value& fallback) const {
  Value value = item;
  for (const Value& part : parts_) {
    run.step();
    value = item_of(run, value, part);
    if (value.is_undefined() && !fallback.is_none()) value = fallback;
  }
  return value;
}

Value comparable(Runtime& run, const Value& value, Case letter_case) {
  if (letter_case == Case::kKeep || !value.is_text()) return value;
  return run.text(to_lower(value.bytes()));
}

}  // namespace fathom::text::jinja
