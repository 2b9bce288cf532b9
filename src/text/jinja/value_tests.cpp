// The tests: what stands behind "is".
#include "text/jinja/builtins.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"

namespace fathom::text::jinja {
namespace {

template <bool (Value::*holds)() const>
Value is_kind(Runtime&, const Value& value, const Bound&) {
  return (value.*holds)();
}

Value defined(Runtime&, const Value& value, const Bound&) { return !value.is_undefined(); }

template <bool wanted>
Value is_bool_of(Runtime&, const Value& value, const Bound&) {
  return value.is_bool() && value.boolean() == wanted;
}

template <Kind wanted>
Value is_of(Runtime&, const Value& value, const Bound&) {
  return value.kind() == wanted;
}

Value rest_of(Runtime& run, const Value& value, const Value& divisor) {
  return arithmetic(run, ArithmeticOp::kMod, value, divisor);
}
Value odd(Runtime& run, const Value& value, const Bound&) {
  return equal(run, rest_of(run, value, 2), 1);
}
Value even(Runtime& run, const Value& value, const Bound&) {
  return equal(run, rest_of(run, value, 2), 0);
}
Value divisibleby(Runtime& run, const Value& value, const Bound& args) {
  return equal(run, rest_of(run, value, args[0]), 0);
}

template <CompareOp op>
Value compares(Runtime& run, const Value& value, const Bound& args) {
  return compare(run, op, value, args[0]);
}

Value sameas(Runtime&, const Value& value, const Bound& args) { return value.same_as(args[0]); }

Value callable(Runtime&, const Value& value, const Bound&) { return is_callable(value); }

Value iterable(Runtime& run, const Value& value, const Bound&) { return is_iterable(run, value); }

Value sequence(Runtime&, const Value& value, const Bound&) {
  if (value.is_object()) return value.object().has_items();
  return !value.is_none() && !value.is_number();
}

Value call_method(Runtime& run, const Value& value, std::string_view method) {
  const Value text = value.is_text() ? value : run.text(to_text(run, value));
  return call_value(run, attribute_of(run, text, method), {});
}
Value lower(Runtime& run, const Value& value, const Bound&) {
  return call_method(run, value, "islower");
}
Value upper(Runtime& run, const Value& value, const Bound&) {
  return call_method(run, value, "isupper");
}

Value filter(Runtime&, const Value& value, const Bound&) {
  if (!is_hashable(value)) throw failure("unhashable type: '{}'", type_name(value));
  return value.is_text() && find_filter(value.bytes()) != nullptr;
}
Value test(Runtime&, const Value& value, const Bound&) {
  if (!is_hashable(value)) throw failure("unhashable type: '{}'", type_name(value));
  return value.is_text() && find_test(value.bytes()) != nullptr;
}

constexpr Builtin kTests[] = {
    {"!=", "other", compares<CompareOp::kNe>},
    {"<", "other", compares<CompareOp::kLt>},
    {"<=", "other", compares<CompareOp::kLe>},
    {"==", "other", compares<CompareOp::kEq>},
    {">", "other", compares<CompareOp::kGt>},
    {">=", "other", compares<CompareOp::kGe>},
    {"boolean", "", is_kind<&Value::is_bool>},
    {"callable", "", callable},
    {"defined", "", defined},
    {"divisibleby", "num", divisibleby},
    {"eq", "other", compares<CompareOp::kEq>},
    {"equalto", "other", compares<CompareOp::kEq>},
    {"escaped", "", is_kind<&Value::is_markup>},
    {"even", "", even},
    {"false", "", is_bool_of<false>},
    {"filter", "", filter},
    {"float", "", is_of<Kind::kFloat>},
    {"ge", "other", compares<CompareOp::kGe>},
    {"greaterthan", "other", compares<CompareOp::kGt>},
    {"gt", "other", compares<CompareOp::kGt>},
    {"in", "seq", compares<CompareOp::kIn>},
    {"integer", "", is_of<Kind::kInt>},
    {"iterable", "", iterable},
    {"le", "other", compares<CompareOp::kLe>},
    {"lessthan", "other", compares<CompareOp::kLt>},
    {"lower", "", lower},
    {"lt", "other", compares<CompareOp::kLt>},
    {"mapping", "", is_kind<&Value::is_dict>},
    {"ne", "other", compares<CompareOp::kNe>},
    {"none", "", is_kind<&Value::is_none>},
    {"number", "", is_kind<&Value::is_number>},
    {"odd", "", odd},
    {"sameas", "other", sameas},
    {"sequence", "", sequence},
    {"string", "", is_kind<&Value::is_text>},
    {"test", "", test},
    {"true", "", is_bool_of<true>},
    {"undefined", "", is_kind<&Value::is_undefined>},
    {"upper", "", upper},
};

}  // namespace

std::span<const Builtin> value_tests() { return kTests; }

}  // namespace fathom::text::jinja
