#include "text/jinja/value.h"

#include <algorithm>
#include <numeric>

#include "text/jinja/object.h"
#include "text/jinja/runtime.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

// Keys of different classes never are equal; 1, 1.0 and True are one key.
int key_class(const Value& key) {
  switch (key.kind()) {
    case Kind::kNone:
      return 0;
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kFloat:
      return 1;
    case Kind::kText:
      return 2;
    case Kind::kTuple:
      return 3;
    case Kind::kUndefined:
      return 4;
    default:
      return 5;
  }
}

template <class T>
int three_way(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

int compare_number_keys(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return three_way(a.integer(), b.integer());
  const double x = a.number();
  const double y = b.number();
  if (x != x || y != y) return three_way(x != x, y != y);  // NaN after the others
  // long double holds every integer and every double exactly.
  const auto exact = [](const Value& v) {
    return v.is_integral() ? static_cast<long double>(v.integer())
                           : static_cast<long double>(v.floating());
  };
  return three_way(exact(a), exact(b));
}

// Any total order will do, as long as equal keys compare as equal.
int compare_keys(Runtime& run, const Value& a, const Value& b) {
  run.step();
  const int classes = three_way(key_class(a), key_class(b));
  if (classes != 0) return classes;
  if (a.is_number()) return compare_number_keys(a, b);
  if (a.is_text()) return three_way(a.bytes(), b.bytes());
  if (a.is_object()) return three_way(&a.object(), &b.object());
  if (a.kind() != Kind::kTuple) return 0;
  const std::vector<Value>& x = a.items().values;
  const std::vector<Value>& y = b.items().values;
  for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
    if (const int order = compare_keys(run, x[i], y[i]); order != 0) return order;
  }
  return three_way(x.size(), y.size());
}

int deepest(const std::vector<Dict::Entry>& entries) {
  int depth = 0;
  for (const auto& [key, value] : entries) {
    depth = std::max({depth, depth_of(key), depth_of(value)});
  }
  return depth;
}

}  // namespace

void Heap::check(size_t bytes) const {
  if (bytes > limit_ - used_) {
    throw failure("the template's values need more than the {} bytes allowed", limit_);
  }
}

Charge::Charge(Heap& heap, size_t bytes) {
  heap.check(bytes);
  heap.used_ += bytes;
  heap_ = &heap;
  bytes_ = bytes;
}

size_t Text::length() const {
  size_t length = length_.load(std::memory_order_relaxed);
  if (length == kNotCounted) {
    length = count_code_points(bytes);
    length_.store(length, std::memory_order_relaxed);
  }
  return length;
}

Items::Items(std::vector<Value> v, int d, Charge c)
    : values(std::move(v)),
      depth(d),
      values_are_hashable(std::all_of(values.begin(), values.end(), is_hashable)),
      charge(std::move(c)) {}

const Items& Value::items() const {
  if (kind() == Kind::kTuple) return *std::get<std::shared_ptr<const Tuple>>(data_);
  return *std::get<std::shared_ptr<const List>>(data_);
}

int64_t Value::integer() const {
  return is_bool() ? static_cast<int64_t>(boolean()) : std::get<int64_t>(data_);
}

double Value::number() const {
  return kind() == Kind::kFloat ? floating() : static_cast<double>(integer());
}

bool Value::same_as(const Value& other) const {
  if (kind() != other.kind()) return false;
  switch (kind()) {
    case Kind::kText:
      return text().escaping == other.text().escaping && bytes() == other.bytes();
    case Kind::kList:
    case Kind::kTuple:
      return &items() == &other.items();
    case Kind::kDict:
      return &dict() == &other.dict();
    case Kind::kObject:
      return &object() == &other.object();
    case Kind::kUndefined:
      return &undefined() == &other.undefined();
    case Kind::kNone:
      return true;
    default:
      return number() == other.number();
  }
}

KeyOrder order_of_keys(Runtime& run, const std::vector<Dict::Entry>& entries) {
  KeyOrder out;
  out.ascending.resize(entries.size());
  std::iota(out.ascending.begin(), out.ascending.end(), 0);
  std::stable_sort(out.ascending.begin(), out.ascending.end(), [&](uint32_t a, uint32_t b) {
    return compare_keys(run, entries[a].first, entries[b].first) < 0;
  });
  out.first_equal = out.ascending;
  for (size_t i = 0, first = 0; i < out.ascending.size(); ++i) {
    const uint32_t key = out.ascending[i];
    const uint32_t leader = out.ascending[first];
    if (compare_keys(run, entries[leader].first, entries[key].first) != 0) first = i;
    out.first_equal[key] = out.ascending[first];
  }
  return out;
}

Dict::Dict(Runtime& run, std::vector<Entry> entries) : entries_(std::move(entries)) {
  depth_ = run.checked_depth(deepest(entries_) + 1);
  charge_ = run.charge(sizeof(Dict) + entries_.size() * (sizeof(Entry) + sizeof(uint32_t)));
  const KeyOrder order = order_of_keys(run, entries_);
  std::vector<uint32_t> place(entries_.size());  // of the first of equal keys, once others are gone
  uint32_t kept = 0;
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    const uint32_t first = order.first_equal[i];
    if (first != i) {
      entries_[place[first]].second = std::move(entries_[i].second);
      continue;
    }
    place[i] = kept;
    if (kept != i) entries_[kept] = std::move(entries_[i]);
    ++kept;
  }
  entries_.resize(kept);
  for (const uint32_t i : order.ascending) {
    if (order.first_equal[i] == i) by_key_.push_back(place[i]);
  }
}

const Value* Dict::find(std::string_view key) const {
  constexpr int kTextClass = 2;
  const auto found = std::partition_point(by_key_.begin(), by_key_.end(), [&](uint32_t i) {
    const Value& candidate = entries_[i].first;
    const int candidate_class = key_class(candidate);
    return candidate_class < kTextClass ||
           (candidate_class == kTextClass && candidate.bytes() < key);
  });
  if (found == by_key_.end()) return nullptr;
  const auto& [name, value] = entries_[*found];
  return name.is_text() && name.bytes() == key ? &value : nullptr;
}

const Value* Dict::find(Runtime& run, const Value& key) const {
  if (key.is_text()) return find(key.bytes());
  const auto found = std::partition_point(by_key_.begin(), by_key_.end(), [&](uint32_t i) {
    return compare_keys(run, entries_[i].first, key) < 0;
  });
  if (found == by_key_.end()) return nullptr;
  const auto& [name, value] = entries_[*found];
  return compare_keys(run, name, key) == 0 ? &value : nullptr;
}

bool is_hashable(const Value& value) {
  if (value.kind() == Kind::kList || value.is_dict()) return false;
  if (value.is_object()) return value.object().is_hashable();
  return value.kind() != Kind::kTuple || value.items().values_are_hashable;
}

int depth_of(const Value& value) {
  switch (value.kind()) {
    case Kind::kList:
    case Kind::kTuple:
      return value.items().depth;
    case Kind::kDict:
      return value.dict().depth();
    case Kind::kObject:
      return value.object().depth();
    default:
      return 0;
  }
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kText:
      return value.is_markup() ? "Markup" : "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return value.tuple().is_group ? "_GroupTuple" : "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kObject:
      return value.object().type_name();
    case Kind::kUndefined:
      break;
  }
  return "Undefined";
}

Value constant_text(std::string bytes) {
  return std::make_shared<const Text>(std::move(bytes), Escaping::kPlain, Charge{});
}

}  // namespace fathom::text::jinja
