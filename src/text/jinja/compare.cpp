// Truth, equality, order and membership.
#include <algorithm>

#include "text/jinja/operations.h"

namespace fathom::text::jinja {
namespace {

std::string_view symbol(CompareOp op) {
  switch (op) {
    case CompareOp::kLt:
      return "<";
    case CompareOp::kLe:
      return "<=";
    case CompareOp::kGt:
      return ">";
    default:
      return ">=";
  }
}

template <class T>
bool holds(CompareOp op, const T& a, const T& b) {
  switch (op) {
    case CompareOp::kLt:
      return a < b;
    case CompareOp::kLe:
      return a <= b;
    case CompareOp::kGt:
      return a > b;
    case CompareOp::kGe:
      return a >= b;
    default:
      return a == b;
  }
}

// long double holds every int64 and every double exactly.
long double exact(const Value& number) {
  return number.kind() == Kind::kFloat ? static_cast<long double>(number.floating())
                                       : static_cast<long double>(number.integer());
}

bool numbers_hold(CompareOp op, const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return holds(op, a.integer(), b.integer());
  return holds(op, exact(a), exact(b));
}

bool equal_items(Runtime& run, const Items& a, const Items& b) {
  if (&a == &b) return true;
  if (a.values.size() != b.values.size()) return false;
  for (size_t i = 0; i < a.values.size(); ++i) {
    if (!equal(run, a.values[i], b.values[i])) return false;
  }
  return true;
}

bool equal_dicts(Runtime& run, const Dict& a, const Dict& b) {
  if (&a == &b) return true;
  if (a.size() != b.size()) return false;
  for (const auto& [key, value] : a.entries()) {
    const Value* other = b.find(run, key);
    if (other == nullptr || !equal(run, value, *other)) return false;
  }
  return true;
}

bool ordered(Runtime& run, CompareOp op, const Value& a, const Value& b);

// The first items that differ decide; with none, the lengths do.
bool items_ordered(Runtime& run, CompareOp op, const Items& a, const Items& b) {
  const size_t common = std::min(a.values.size(), b.values.size());
  for (size_t i = 0; i < common; ++i) {
    if (!equal(run, a.values[i], b.values[i])) return ordered(run, op, a.values[i], b.values[i]);
  }
  return holds(op, a.values.size(), b.values.size());
}

bool ordered(Runtime& run, CompareOp op, const Value& a, const Value& b) {
  if (a.is_undefined()) fail_undefined(a);
  if (b.is_undefined()) fail_undefined(b);
  run.step();
  if (a.is_number() && b.is_number()) return numbers_hold(op, a, b);
  if (a.is_text() && b.is_text()) {
    run.scan(std::min(a.bytes().size(), b.bytes().size()));
    return holds(op, a.bytes(), b.bytes());  // the order of UTF-8 is that of the code points
  }
  if (a.is_items() && a.kind() == b.kind()) return items_ordered(run, op, a.items(), b.items());
  throw failure("'{}' not supported between instances of '{}' and '{}'", symbol(op), type_name(a),
                type_name(b));
}

bool text_contains(Runtime& run, const Value& text, const Value& part) {
  if (!part.is_text()) {
    throw failure("'in <string>' requires string as left operand, not {}", type_name(part));
  }
  run.scan(text.bytes().size());
  return memmem(text.bytes().data(), text.bytes().size(), part.bytes().data(),
                part.bytes().size()) != nullptr;
}

}  // namespace

void fail_undefined(const Value& value) { throw Failure{value.undefined().message, {}}; }

bool truth(Runtime& run, const Value& value) {
  switch (value.kind()) {
    case Kind::kNone:
    case Kind::kUndefined:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.integer() != 0;
    case Kind::kFloat:
      return value.floating() != 0;
    case Kind::kText:
      return !value.bytes().empty();
    case Kind::kList:
    case Kind::kTuple:
      return !value.items().values.empty();
    case Kind::kDict:
      return value.dict().size() > 0;
    case Kind::kObject:
      return value.object().length(run).value_or(1) != 0;
  }
  return false;
}

bool equal(Runtime& run, const Value& a, const Value& b) {
  run.step();
  if (a.is_number() && b.is_number()) return numbers_hold(CompareOp::kEq, a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kText:
      run.scan(a.bytes().size());
      return a.bytes() == b.bytes();
    case Kind::kList:
    case Kind::kTuple:
      return equal_items(run, a.items(), b.items());
    case Kind::kDict:
      return equal_dicts(run, a.dict(), b.dict());
    case Kind::kObject:
      return &a.object() == &b.object() || a.object().equals(run, b);
    default:
      return true;  // None and None, undefined and undefined
  }
}

bool compare(Runtime& run, CompareOp op, const Value& a, const Value& b) {
  switch (op) {
    case CompareOp::kEq:
      return equal(run, a, b);
    case CompareOp::kNe:
      return !equal(run, a, b);
    case CompareOp::kIn:
      return contains(run, b, a);
    case CompareOp::kNotIn:
      return !contains(run, b, a);
    default:
      return ordered(run, op, a, b);
  }
}

bool contains(Runtime& run, const Value& container, const Value& item) {
  if (container.is_text()) return text_contains(run, container, item);
  if (container.is_dict()) {
    if (!is_hashable(item)) throw failure("unhashable type: '{}'", type_name(item));
    return container.dict().find(run, item) != nullptr;
  }
  if (!is_iterable(run, container)) {
    throw failure("argument of type '{}' is not iterable", type_name(container));
  }
  const std::unique_ptr<Iterator> iterator = iterate(run, container);
  while (const std::optional<Value> candidate = iterator->next(run)) {
    if (equal(run, *candidate, item)) return true;
  }
  return false;
}

}  // namespace fathom::text::jinja
