// Reaching into values: attributes, items, slices, iteration, length, calls.
#include <algorithm>

#include "text/jinja/methods.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

class ItemsIterator final : public Iterator {
 public:
  explicit ItemsIterator(Value items) : items_(std::move(items)) {}
  std::optional<Value> next(Runtime& run) override {
    run.step();
    const std::vector<Value>& values = items_.items().values;
    return at_ < values.size() ? std::optional(values[at_++]) : std::nullopt;
  }

 private:
  Value items_;
  size_t at_ = 0;
};

class TextIterator final : public Iterator {
 public:
  explicit TextIterator(Value text) : text_(std::move(text)) {}
  std::optional<Value> next(Runtime& run) override {
    run.step();
    const std::string& bytes = text_.bytes();
    if (at_ >= bytes.size()) return std::nullopt;
    const size_t length = decode_at(bytes, at_).bytes;
    at_ += length;
    return run.text(bytes.substr(at_ - length, length));
  }

 private:
  Value text_;
  size_t at_ = 0;
};

class EmptyIterator final : public Iterator {
 public:
  std::optional<Value> next(Runtime&) override { return std::nullopt; }
};

// An index as Python counts: from the end where negative. Nothing outside.
std::optional<size_t> position_of(int64_t index, size_t length) {
  const auto n = static_cast<int64_t>(length);
  if (index < 0) index += n;
  if (index < 0 || index >= n) return std::nullopt;
  return static_cast<size_t>(index);
}

Value character_at(Runtime& run, const Value& text, size_t index) {
  const std::string& bytes = text.bytes();
  size_t at = index;
  if (!text.text().is_flat()) {
    run.scan(bytes.size());
    at = code_point_offset(bytes, index);
  }
  return run.text_like(text, bytes.substr(at, decode_at(bytes, at).bytes));
}

// object[index] as Python has it; nothing for its TypeError and LookupError.
std::optional<Value> python_item(Runtime& run, const Value& object, const Value& index) {
  switch (object.kind()) {
    case Kind::kDict: {
      const Value* found = is_hashable(index) ? object.dict().find(run, index) : nullptr;
      return found == nullptr ? std::nullopt : std::optional(*found);
    }
    case Kind::kList:
    case Kind::kTuple: {
      const std::vector<Value>& values = object.items().values;
      if (!index.is_integral()) return std::nullopt;
      const auto at = position_of(index.integer(), values.size());
      return at ? std::optional(values[*at]) : std::nullopt;
    }
    case Kind::kText: {
      if (!index.is_integral()) return std::nullopt;
      const auto at = position_of(index.integer(), object.text().length());
      return at ? std::optional(character_at(run, object, *at)) : std::nullopt;
    }
    case Kind::kObject:
      return object.object().item(run, index);
    default:
      return std::nullopt;
  }
}

// object.name as Python has it, through the sandbox; nothing for its AttributeError.
std::optional<Value> python_attribute(Runtime& run, const Value& object, std::string_view name) {
  if (!object.is_object()) return method_of(run, object, name);
  std::optional<Value> found = object.object().attribute(run, name);
  if (found && name.starts_with('_')) {
    return run.undefined(fmt::format("access to attribute {} of '{}' object is unsafe.",
                                     in_quotes(name), type_name(object)));
  }
  return found;
}

Value slice_of_text(Runtime& run, const Value& text, const SliceBounds& b) {
  const std::string& bytes = text.bytes();
  run.scan(bytes.size());
  if (b.step == 1) {
    const size_t begin = code_point_offset(bytes, static_cast<size_t>(b.start));
    const std::string_view rest = std::string_view(bytes).substr(begin);
    return run.text_like(
        text, std::string(rest.substr(0, code_point_offset(rest, static_cast<size_t>(b.count)))));
  }
  const std::u32string points = decode(bytes);
  std::string out;
  for (int64_t i = 0; i < b.count; ++i) {
    append_code_point(out, points[static_cast<size_t>(b.start + i * b.step)]);
  }
  return run.text_like(text, std::move(out));
}

Value slice_of_items(Runtime& run, const Value& items, const SliceBounds& b) {
  run.check_items(static_cast<size_t>(b.count));
  run.step(static_cast<size_t>(b.count));
  std::vector<Value> out;
  out.reserve(static_cast<size_t>(b.count));
  for (int64_t i = 0; i < b.count; ++i) {
    out.push_back(items.items().values[static_cast<size_t>(b.start + i * b.step)]);
  }
  return items.kind() == Kind::kList ? run.list(std::move(out)) : run.tuple(std::move(out));
}

std::optional<int64_t> slice_index(const Value& part) {
  if (part.is_none()) return std::nullopt;
  if (!part.is_integral())
    throw failure("slice indices must be integers or None, not {}", type_name(part));
  return part.integer();
}

}  // namespace

int64_t as_index(const Value& value) {
  if (value.is_undefined()) fail_undefined(value);
  if (!value.is_integral()) {
    throw failure("'{}' object cannot be interpreted as an integer", type_name(value));
  }
  return value.integer();
}

Value attribute_of(Runtime& run, const Value& object, std::string_view name) {
  if (object.is_undefined()) fail_undefined(object);
  if (auto found = python_attribute(run, object, name)) return *found;
  if (object.is_dict()) {
    if (const Value* found = object.dict().find(name)) return *found;
  }
  return run.undefined_part(object, run.text(std::string(name)));
}

Value item_of(Runtime& run, const Value& object, const Value& index) {
  if (object.is_undefined()) fail_undefined(object);
  if (auto found = python_item(run, object, index)) return *found;
  if (index.is_text()) {
    if (auto found = python_attribute(run, object, index.bytes())) return *found;
  }
  return run.undefined_part(object, index);
}

SliceBounds slice_bounds(const SliceParts& parts, int64_t length) {
  const int64_t step = slice_index(parts.step).value_or(1);
  if (step == 0) throw failure("slice step cannot be zero");
  const int64_t lowest = step > 0 ? 0 : -1;
  const int64_t highest = step > 0 ? length : length - 1;
  const auto placed = [&](const Value& part, int64_t left_out) {
    const std::optional<int64_t> index = slice_index(part);
    if (!index) return left_out;
    return std::clamp(*index < 0 ? *index + length : *index, lowest, highest);
  };
  SliceBounds out;
  out.start = placed(parts.start, step > 0 ? lowest : highest);
  out.stop = placed(parts.stop, step > 0 ? highest : lowest);
  out.step = step;
  const int64_t distance = step > 0 ? out.stop - out.start : out.start - out.stop;
  // Unsigned, because the smallest step has no positive counterpart.
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  if (distance <= 0) return out;
  out.count = static_cast<int64_t>((static_cast<uint64_t>(distance) - 1) / stride + 1);
  return out;
}

Value slice_of(Runtime& run, const Value& object, const SliceParts& parts) {
  if (object.is_undefined()) fail_undefined(object);
  if (object.is_text()) {
    const auto length = static_cast<int64_t>(object.text().length());
    return slice_of_text(run, object, slice_bounds(parts, length));
  }
  if (object.is_items()) {
    const auto length = static_cast<int64_t>(object.items().values.size());
    return slice_of_items(run, object, slice_bounds(parts, length));
  }
  if (const Range* range = object.object_as<Range>()) {
    const SliceBounds b = slice_bounds(parts, range->count());
    // The step between two of the range's numbers; their distance may pass 64 bits.
    const uint64_t step = static_cast<uint64_t>(b.step) * static_cast<uint64_t>(range->step());
    return run.make<Range>(range->at(b.start), range->at(b.stop), static_cast<int64_t>(step),
                           b.count);
  }
  if (object.is_dict()) throw failure("unhashable type: 'slice'");
  throw failure("'{}' object is not subscriptable", type_name(object));
}

std::unique_ptr<Iterator> iterate(Runtime& run, const Value& value) {
  switch (value.kind()) {
    case Kind::kList:
    case Kind::kTuple:
      return std::make_unique<ItemsIterator>(value);
    case Kind::kText:
      return std::make_unique<TextIterator>(value);
    case Kind::kDict:
      return DictView(run, value, DictView::Shows::kKeys).iterate(run);
    case Kind::kUndefined:
      return std::make_unique<EmptyIterator>();
    case Kind::kObject:
      if (auto iterator = value.object().iterate(run)) return iterator;
      break;
    default:
      break;
  }
  throw failure("'{}' object is not iterable", type_name(value));
}

bool is_iterable(Runtime& run, const Value& value) {
  if (value.is_object()) return value.object().iterate(run) != nullptr;
  return !value.is_none() && !value.is_number();
}

std::vector<Value> drain(Runtime& run, Iterator& iterator) {
  std::vector<Value> out;
  while (std::optional<Value> value = iterator.next(run)) grow(run, out, std::move(*value));
  return out;
}

std::vector<Value> collect(Runtime& run, const Value& value) {
  if (value.is_items()) {
    run.check_items(value.items().values.size());
    run.step(value.items().values.size());
    return value.items().values;
  }
  return drain(run, *iterate(run, value));
}

std::optional<int64_t> length_if_any(Runtime& run, const Value& value) {
  switch (value.kind()) {
    case Kind::kText:
      return static_cast<int64_t>(value.text().length());
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<int64_t>(value.items().values.size());
    case Kind::kDict:
      return static_cast<int64_t>(value.dict().size());
    case Kind::kUndefined:
      return 0;
    case Kind::kObject:
      return value.object().length(run);
    default:
      return std::nullopt;
  }
}

int64_t length_of(Runtime& run, const Value& value) {
  if (const auto length = length_if_any(run, value)) return *length;
  throw failure("object of type '{}' has no len()", type_name(value));
}

bool is_callable(const Value& value) {
  return value.is_undefined() || (value.is_object() && value.object().is_callable());
}

Value call_value(Runtime& run, const Value& callee, Arguments arguments) {
  if (callee.is_undefined()) fail_undefined(callee);
  if (!is_callable(callee)) throw failure("'{}' object is not callable", type_name(callee));
  const Runtime::Nesting nested(run);
  return callee.object().call(run, std::move(arguments));
}

}  // namespace fathom::text::jinja
