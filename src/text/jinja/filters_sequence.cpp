// Filters on sequences and dicts.
#include <algorithm>
#include <functional>

#include "text/jinja/attribute_path.h"
#include "text/jinja/builtins.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"
#include "text/jinja/text.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

// An iterator whose values are made all at once, when the first one is asked for.
class LateValues final : public Iterator {
 public:
  using Make = std::function<std::vector<Value>(Runtime&)>;
  explicit LateValues(Make make) : make_(std::move(make)) {}
  std::optional<Value> next(Runtime& run) override {
    run.step();
    if (make_) values_ = std::exchange(make_, nullptr)(run);
    return at_ < values_.size() ? std::optional(values_[at_++]) : std::nullopt;
  }

 private:
  Make make_;
  std::vector<Value> values_;
  size_t at_ = 0;
};

// A generator over values that are made late; `held` are the values that making them needs.
Value generator(Runtime& run, std::string_view type, std::initializer_list<Value> held,
                LateValues::Make make) {
  int depth = 0;
  for (const Value& value : held) depth = std::max(depth, depth_of(value));
  return run.make<Generator>(type, run.checked_depth(depth + 1),
                             std::make_unique<LateValues>(std::move(make)));
}

Value length(Runtime& run, const Value& value, const Bound&) { return length_of(run, value); }

Value list(Runtime& run, const Value& value, const Bound&) {
  return value.kind() == Kind::kList ? value : run.list(collect(run, value));
}

Value first(Runtime& run, const Value& value, const Bound&) {
  if (auto item = iterate(run, value)->next(run)) return *item;
  return run.undefined("No first item, sequence was empty.");
}

// Whether Python's reversed() takes it; the others can only be turned into lists.
bool is_reversible(const Value& value) {
  if (value.is_object()) return value.object_as<Range>() || value.object_as<DictView>();
  return !value.is_none() && !value.is_number();
}

std::vector<Value> backwards(Runtime& run, const Value& value) {
  std::vector<Value> values = collect(run, value);
  std::reverse(values.begin(), values.end());
  return values;
}

Value last(Runtime& run, const Value& value, const Bound&) {
  if (!is_reversible(value)) throw failure("'{}' object is not reversible", type_name(value));
  if (value.is_items() && !value.items().values.empty()) return value.items().values.back();
  std::vector<Value> values = backwards(run, value);
  if (values.empty()) return run.undefined("No last item, sequence was empty.");
  return values.front();
}

Value reverse(Runtime& run, const Value& value, const Bound&) {
  if (value.is_text()) {
    std::u32string points = decode(value.bytes());
    std::reverse(points.begin(), points.end());
    return run.text_like(value, encode(points));
  }
  if (!is_iterable(run, value)) throw failure("argument must be iterable");
  if (!is_reversible(value)) return run.list(backwards(run, value));
  const std::string_view type = value.kind() == Kind::kList ? "list_reverseiterator"
                                : value.is_dict()           ? "dict_reversekeyiterator"
                                                            : "reversed";
  return generator(run, type, {value}, [value](Runtime& r) { return backwards(r, value); });
}

Value items(Runtime& run, const Value& value, const Bound&) {
  return generator(run, "generator", {value}, [value](Runtime& r) -> std::vector<Value> {
    if (value.is_undefined()) return {};
    if (!value.is_dict()) throw failure("Can only get item pairs from a mapping.");
    return collect(r, r.make<DictView>(r, value, DictView::Shows::kItems));
  });
}

Value join(Runtime& run, const Value& value, const Bound& args) {
  const AttributePath path(run, args[1]);
  const std::string separator = args.given(0) ? to_text(run, args[0]) : "";
  TextBuilder out(run);
  bool is_first = true;
  const std::unique_ptr<Iterator> iterator = iterate(run, value);
  while (const std::optional<Value> item = iterator->next(run)) {
    if (!is_first) out.append(separator);
    is_first = false;
    write_text(run, out, path.of(run, *item));
  }
  return run.text(out.take());
}

// -- Sorting.

struct Keyed {
  Value key;
  Value value;
};
enum class Direction { kAscending, kDescending };

// Equal values keep their order in both directions.
std::vector<Value> sorted(Runtime& run, std::vector<Keyed> keyed, Direction direction) {
  std::stable_sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    return direction == Direction::kAscending ? compare(run, CompareOp::kLt, a.key, b.key)
                                              : compare(run, CompareOp::kLt, b.key, a.key);
  });
  std::vector<Value> out;
  out.reserve(keyed.size());
  for (Keyed& k : keyed) out.push_back(std::move(k.value));
  return out;
}

Direction direction_of(bool reverse) {
  return reverse ? Direction::kDescending : Direction::kAscending;
}
Case case_of(bool sensitive) { return sensitive ? Case::kKeep : Case::kIgnore; }

// The paths of "age,name".
std::vector<AttributePath> paths_of(Runtime& run, const Value& attribute) {
  std::vector<AttributePath> out;
  if (!attribute.is_text()) {
    out.emplace_back(run, attribute);
    return out;
  }
  for (const std::string_view part : split(run, attribute.bytes(), ",")) {
    out.emplace_back(run, run.text(std::string(part)));
  }
  return out;
}

Value sort(Runtime& run, const Value& value, const Bound& args) {
  const Case letter_case = case_of(args.truth(run, 1, false));
  const std::vector<AttributePath> paths = paths_of(run, args[2]);
  std::vector<Keyed> keyed;
  for (Value& item : collect(run, value)) {
    std::vector<Value> keys;
    for (const AttributePath& path : paths) {
      keys.push_back(comparable(run, path.of(run, item), letter_case));
    }
    grow(run, keyed, Keyed{run.list(std::move(keys)), item});
  }
  return run.list(sorted(run, std::move(keyed), direction_of(args.truth(run, 0, false))));
}

Value dictsort(Runtime& run, const Value& value, const Bound& args) {
  const std::string by = args.given(1) ? to_text(run, args[1]) : "key";
  if (by != "key" && by != "value")
    throw failure("You can only sort by either \"key\" or \"value\"");
  if (value.is_undefined()) fail_undefined(value);
  if (!value.is_dict()) throw failure("'{}' object has no attribute 'items'", type_name(value));
  const Case letter_case = case_of(args.truth(run, 0, false));
  std::vector<Keyed> keyed;
  for (const auto& [key, item] : value.dict().entries()) {
    Value sort_key = comparable(run, by == "key" ? key : item, letter_case);
    grow(run, keyed, Keyed{std::move(sort_key), run.tuple({key, item})});
  }
  return run.list(sorted(run, std::move(keyed), direction_of(args.truth(run, 2, false))));
}

template <CompareOp wins>
Value extreme(Runtime& run, const Value& value, const Bound& args) {
  const Case letter_case = case_of(args.truth(run, 0, false));
  const AttributePath path(run, args[1]);
  const std::unique_ptr<Iterator> iterator = iterate(run, value);
  std::optional<Value> best = iterator->next(run);
  if (!best) return run.undefined("No aggregated item, sequence was empty.");
  Value best_key = comparable(run, path.of(run, *best), letter_case);
  while (std::optional<Value> item = iterator->next(run)) {
    Value key = comparable(run, path.of(run, *item), letter_case);
    if (!compare(run, wins, key, best_key)) continue;
    best = std::move(item);
    best_key = std::move(key);
  }
  return *best;
}

Value unique(Runtime& run, const Value& value, const Bound& args) {
  const Case letter_case = case_of(args.truth(run, 0, false));
  const Value attribute = args[1];
  return generator(run, "generator", {value, attribute}, [=](Runtime& r) {
    const AttributePath path(r, attribute);
    std::vector<Dict::Entry> keyed;
    for (Value& item : collect(r, value)) {
      Value key = comparable(r, path.of(r, item), letter_case);
      if (!is_hashable(key)) throw failure("unhashable type: '{}'", type_name(key));
      grow(r, keyed, Dict::Entry{std::move(key), std::move(item)});
    }
    const KeyOrder order = order_of_keys(r, keyed);
    std::vector<Value> out;
    for (uint32_t i = 0; i < keyed.size(); ++i) {
      if (order.first_equal[i] == i) out.push_back(keyed[i].second);
    }
    return out;
  });
}

Value groupby(Runtime& run, const Value& value, const Bound& args) {
  const AttributePath path(run, args[0]);
  const bool case_sensitive = args.truth(run, 2, false);
  std::vector<Keyed> keyed;
  for (Value& item : collect(run, value)) {
    Value key = comparable(run, path.of(run, item, args[1]), case_of(case_sensitive));
    grow(run, keyed, Keyed{std::move(key), item});
  }
  const std::vector<Value> values = sorted(run, std::move(keyed), Direction::kAscending);
  std::vector<Value> groups;
  std::vector<Value> members;
  Value member_key;
  const auto finish = [&] {
    if (members.empty()) return;
    const Value grouper = case_sensitive ? member_key : path.of(run, members.front(), args[1]);
    grow(run, groups, run.group(grouper, run.list(std::exchange(members, {}))));
  };
  for (const Value& item : values) {
    Value key = comparable(run, path.of(run, item, args[1]), case_of(case_sensitive));
    if (members.empty() || !equal(run, key, member_key)) {
      finish();
      member_key = std::move(key);
    }
    grow(run, members, item);
  }
  finish();
  return run.list(std::move(groups));
}

// -- The rest.

Value sum(Runtime& run, const Value& value, const Bound& args) {
  const AttributePath path(run, args[0]);
  Value total = args.given(1) ? args[1] : Value(0);
  if (total.is_text()) throw failure("sum() can't sum strings [use ''.join(seq) instead]");
  const std::unique_ptr<Iterator> iterator = iterate(run, value);
  while (const std::optional<Value> item = iterator->next(run)) {
    total = arithmetic(run, ArithmeticOp::kAdd, total, path.of(run, *item));
  }
  return total;
}

Value batch(Runtime& run, const Value& value, const Bound& args) {
  const int64_t size = args.integer(0, 0);
  const Value fill = args[1];
  return generator(run, "generator", {value, fill}, [=](Runtime& r) {
    std::vector<Value> out;
    std::vector<Value> line;
    for (Value& item : collect(r, value)) {
      if (static_cast<int64_t>(line.size()) == size) {
        grow(r, out, r.list(std::exchange(line, {})));
      }
      grow(r, line, std::move(item));
    }
    if (line.empty()) return out;
    while (!fill.is_none() && static_cast<int64_t>(line.size()) < size) grow(r, line, fill);
    grow(r, out, r.list(std::move(line)));
    return out;
  });
}

Value slice(Runtime& run, const Value& value, const Bound& args) {
  const int64_t slices = args.integer(0, 0);
  const Value fill = args[1];
  return generator(run, "generator", {value, fill}, [=](Runtime& r) {
    const std::vector<Value> values = collect(r, value);
    if (slices == 0) throw failure("integer division or modulo by zero");
    const auto count = static_cast<int64_t>(values.size());
    std::vector<Value> out;
    auto begin = values.begin();
    for (int64_t i = 0; i < slices; ++i) {
      const bool has_extra = i < count % slices;
      const auto end = begin + count / slices + (has_extra ? 1 : 0);
      std::vector<Value> column(begin, end);
      if (!fill.is_none() && !has_extra) column.push_back(fill);
      grow(r, out, r.list(std::move(column)));
      begin = end;
    }
    return out;
  });
}

Value attr(Runtime& run, const Value& value, const Bound& args) {
  const std::string& name = args.text(0);
  // Not through attribute_of: a dict's keys are no attributes.
  if (value.is_dict()) {
    const Value empty = run.dict({});
    const Value method = attribute_of(run, empty, name);
    return method.is_undefined() ? method : attribute_of(run, value, name);
  }
  return attribute_of(run, value, name);
}

Value fallback(Runtime& run, const Value& value, const Bound& args) {
  const bool missing = value.is_undefined() || (args.truth(run, 1, false) && !truth(run, value));
  if (!missing) return value;
  return args.given(0) ? args[0] : run.text("");
}

constexpr Builtin kFilters[] = {
    {"attr", "name", attr},
    {"batch", "linecount fill_with?", batch},
    {"count", "", length},
    {"d", "default_value? boolean?", fallback},
    {"default", "default_value? boolean?", fallback},
    {"dictsort", "case_sensitive? by? reverse?", dictsort},
    {"first", "", first},
    {"groupby", "attribute default? case_sensitive?", groupby},
    {"items", "", items},
    {"join", "d? attribute?", join},
    {"last", "", last},
    {"length", "", length},
    {"list", "", list},
    {"max", "case_sensitive? attribute?", extreme<CompareOp::kGt>},
    {"min", "case_sensitive? attribute?", extreme<CompareOp::kLt>},
    {"random", "", nullptr},
    {"reverse", "", reverse},
    {"slice", "slices fill_with?", slice},
    {"sort", "reverse? case_sensitive? attribute?", sort},
    {"sum", "attribute? start?", sum},
    {"unique", "case_sensitive? attribute?", unique},
};

}  // namespace

std::span<const Builtin> sequence_filters() { return kFilters; }

}  // namespace fathom::text::jinja
