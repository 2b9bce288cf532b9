#include "text/jinja/methods.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/operations.h"
#include "text/jinja/print.h"
#include "text/jinja/string_methods.h"

namespace fathom::text::jinja {
namespace {

template <DictView::Shows shows>
Value view(Runtime& run, const Value& dict, const Bound&) {
  return run.make<DictView>(run, dict, shows);
}

Value dict_get(Runtime& run, const Value& dict, const Bound& args) {
  if (!is_hashable(args[0])) throw failure("unhashable type: '{}'", type_name(args[0]));
  const Value* found = dict.dict().find(run, args[0]);
  return found == nullptr ? args[1] : *found;
}

Value itself(Runtime&, const Value& subject, const Bound&) { return subject; }

Value items_count(Runtime& run, const Value& items, const Bound& args) {
  const std::vector<Value>& values = items.items().values;
  return std::count_if(values.begin(), values.end(),
                       [&](const Value& value) { return equal(run, value, args[0]); });
}

Value items_index(Runtime& run, const Value& items, const Bound& args) {
  const std::vector<Value>& values = items.items().values;
  const SliceParts parts{args.given(1) ? Value(args.integer(1, 0)) : Value(),
                         args.given(2) ? Value(args.integer(2, 0)) : Value(),
                         {}};
  const SliceBounds b = slice_bounds(parts, static_cast<int64_t>(values.size()));
  for (int64_t i = b.start; i < b.start + b.count; ++i) {
    if (equal(run, values[static_cast<size_t>(i)], args[0])) return i;
  }
  throw failure("{} is not in {}", short_repr(run, args[0], 80), type_name(items));
}

Value float_is_integer(Runtime&, const Value& value, const Bound&) {
  return std::isfinite(value.floating()) && value.floating() == std::floor(value.floating());
}

constexpr Builtin kDictMethods[] = {
    {"copy", "/", itself},
    {"fromkeys", "*", nullptr},
    {"get", "/ key default?", dict_get},
    {"items", "/", view<DictView::Shows::kItems>},
    {"keys", "/", view<DictView::Shows::kKeys>},
    {"values", "/", view<DictView::Shows::kValues>},
};
constexpr Builtin kListMethods[] = {
    {"copy", "/", itself},
    {"count", "/ value", items_count},
    {"index", "/ value start? stop?", items_index},
};
constexpr Builtin kTupleMethods[] = {
    {"count", "/ value", items_count},
    {"index", "/ value start? stop?", items_index},
};
constexpr Builtin kFloatMethods[] = {{"is_integer", "/", float_is_integer}};

// What would change the value: Jinja's immutable sandbox lets templates name these, not call them.
constexpr std::string_view kDictMutators[] = {"clear", "pop", "popitem", "setdefault", "update"};
constexpr std::string_view kListMutators[] = {"append", "clear",  "extend",  "insert",
                                              "pop",    "remove", "reverse", "sort"};

bool is_mutator(const Value& value, std::string_view name) {
  const auto among = [&](std::span<const std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (value.is_dict()) return among(kDictMutators);
  return value.kind() == Kind::kList && among(kListMutators);
}

// Attributes that Python's values have and the sandbox keeps to itself.
bool is_private(std::string_view name) {
  constexpr std::string_view kNames[] = {"__class__",        "__contains__",
                                         "__delattr__",      "__dir__",
                                         "__doc__",          "__eq__",
                                         "__format__",       "__ge__",
                                         "__getattribute__", "__getitem__",
                                         "__gt__",           "__hash__",
                                         "__init__",         "__init_subclass__",
                                         "__iter__",         "__le__",
                                         "__len__",          "__lt__",
                                         "__ne__",           "__new__",
                                         "__reduce__",       "__reduce_ex__",
                                         "__repr__",         "__setattr__",
                                         "__sizeof__",       "__str__",
                                         "__subclasshook__"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

std::span<const Builtin> methods_of(const Value& value) {
  switch (value.kind()) {
    case Kind::kDict:
      return kDictMethods;
    case Kind::kList:
      return kListMethods;
    case Kind::kTuple:
      return kTupleMethods;
    case Kind::kFloat:
      return kFloatMethods;
    default:
      return {};
  }
}

Value as_markup(Runtime& run, const Value& value) {
  if (value.is_text()) return run.text(value.bytes(), Escaping::kMarkup);
  if (!value.is_items()) return value;
  std::vector<Value> items = value.items().values;
  for (Value& item : items) item = as_markup(run, item);
  return value.kind() == Kind::kList ? run.list(std::move(items)) : run.tuple(std::move(items));
}

// A method together with the value it was taken from.
class Method final : public Object {
 public:
  Method(Runtime& run, const Builtin& builtin, Value self, OnMarkup on_markup)
      : Object(run.checked_depth(depth_of(self) + 1)),
        builtin_(builtin),
        self_(std::move(self)),
        on_markup_(on_markup) {}

  std::string_view type_name() const override { return "builtin_function_or_method"; }
  bool is_callable() const override { return true; }

  void write_repr(Runtime&, TextBuilder& out) const override {
    out.append(
        fmt::format("<built-in method {} of {} object>", builtin_.name, jinja::type_name(self_)));
  }

  Value call(Runtime& run, Arguments arguments) override {
    const bool markup = self_.is_markup() && on_markup_ != OnMarkup::kPlain;
    if (markup && on_markup_ == OnMarkup::kEscapes) {
      for (Value& value : arguments.positional) escape(run, value);
      for (auto& [name, value] : arguments.named) escape(run, value);
    }
    const Value result = builtin_(run, self_, std::move(arguments));
    return markup ? as_markup(run, result) : result;
  }

 private:
  static void escape(Runtime& run, Value& value) {
    if (value.is_text()) value = run.text(escaped_text(run, value));
  }

  const Builtin& builtin_;  // of a table
  Value self_;
  OnMarkup on_markup_;
};

std::optional<Value> string_method(Runtime& run, const Value& text, std::string_view name) {
  const auto all = string_methods();
  const auto found = std::lower_bound(
      all.begin(), all.end(), name,
      [](const StringMethod& method, std::string_view n) { return method.builtin.name < n; });
  if (found == all.end() || found->builtin.name != name) return std::nullopt;
  return run.make<Method>(run, found->builtin, text, found->on_markup);
}

std::optional<Value> group_member(const Value& value, std::string_view name) {
  if (value.kind() != Kind::kTuple || !value.tuple().is_group) return std::nullopt;
  if (name == "grouper") return value.items().values[0];
  if (name == "list") return value.items().values[1];
  return std::nullopt;
}

}  // namespace

std::optional<Value> method_of(Runtime& run, const Value& value, std::string_view name) {
  if (is_private(name) || is_mutator(value, name)) {
    return run.undefined(fmt::format("access to attribute {} of '{}' object is unsafe.",
                                     in_quotes(name), type_name(value)));
  }
  if (value.is_text()) return string_method(run, value, name);
  if (auto member = group_member(value, name)) return member;
  for (const Builtin& method : methods_of(value)) {
    if (method.name == name) return run.make<Method>(run, method, value, OnMarkup::kPlain);
  }
  return std::nullopt;
}

}  // namespace fathom::text::jinja
