// "address.city" and "0.name": the paths that sort, map, join and others take as `attribute`.
#pragma once

#include <vector>

#include "text/jinja/runtime.h"

namespace fathom::text::jinja {

enum class Case { kKeep, kIgnore };

class AttributePath {
 public:
  // None is the empty path: the item itself.
  AttributePath(Runtime& run, const Value& attribute);

  // Follows the path from an item. An undefined step becomes `fallback`, unless that is None.
  Value of(Runtime& run, const Value& item, const Value& fallback = {}) const;

 private:
  std::vector<Value> parts_;
};

// Texts in lower case, for comparisons that ignore case; other values as they are.
Value comparable(Runtime& run, const Value& value, Case letter_case);

}  // namespace fathom::text::jinja
