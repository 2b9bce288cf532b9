// The values of a running template: Python's, as far as templates see them.
//
// Text, lists, tuples and dicts never change once made (the sandbox refuses the methods that
// would), so copies of a Value share them. Objects (namespaces, macros, iterators...) have
// identity. Whatever a render makes is charged to its Heap, so its memory is bounded; the constants
// of a template are charged to nobody and may be read by several renders at once.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace fathom::text::jinja {

class Runtime;
class Value;
class Object;

// Bytes of the values that a render holds. Not thread-safe: one render, one thread.
class Heap {
 public:
  explicit Heap(size_t limit) : limit_(limit) {}
  // Throws Failure where it would pass the limit.
  void check(size_t bytes) const;

 private:
  friend class Charge;
  size_t used_ = 0;
  size_t limit_;
};

// A part of a heap, given back when it dies.
class Charge {
 public:
  Charge() = default;
  Charge(Heap& heap, size_t bytes);
  Charge(Charge&& other) noexcept
      : heap_(std::exchange(other.heap_, nullptr)), bytes_(other.bytes_) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(heap_, other.heap_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Charge() {
    if (heap_ != nullptr) heap_->used_ -= bytes_;
  }

 private:
  Heap* heap_ = nullptr;
  size_t bytes_ = 0;
};

enum class Escaping { kPlain, kMarkup };

struct Text {
  Text(std::string b, Escaping e, Charge c)
      : bytes(std::move(b)), escaping(e), charge(std::move(c)) {}

  const std::string bytes;
  const Escaping escaping;  // kMarkup: already HTML; joining it with other text escapes that
  Charge charge;

  // In code points. Counted once.
  size_t length() const;
  // One byte a code point, so that positions are the same in both.
  bool is_flat() const { return length() == bytes.size(); }

 private:
  static constexpr size_t kNotCounted = ~size_t{0};
  mutable std::atomic<size_t> length_{kNotCounted};
};

struct Items {
  Items(std::vector<Value> v, int d, Charge c);
  const std::vector<Value> values;
  const int depth;  // 1 + the depth of the deepest value: bounds every recursion over data
  const bool values_are_hashable;
  Charge charge;
};
struct List : Items {
  using Items::Items;
};
struct Tuple : Items {
  using Items::Items;
  bool is_group = false;  // of the groupby filter: has the names .grouper and .list
};

// What using an undefined value complains about.
struct UndefinedInfo {
  std::string message;
  Charge charge;
};

class Dict;
struct None {};

// The order is that of Value's variant.
enum class Kind { kNone, kBool, kInt, kFloat, kText, kList, kTuple, kDict, kObject, kUndefined };

class Value {
 public:
  Value() = default;  // None
  template <std::same_as<bool> B>
  Value(B b) : data_(b) {}
  template <std::integral I>
  requires(!std::same_as<I, bool> && sizeof(I) <= sizeof(int64_t)) Value(I i)
      : data_(static_cast<int64_t>(i)) {}
  Value(double d) : data_(d) {}
  Value(std::shared_ptr<const Text> text) : data_(std::move(text)) {}
  Value(std::shared_ptr<const List> list) : data_(std::move(list)) {}
  Value(std::shared_ptr<const Tuple> tuple) : data_(std::move(tuple)) {}
  Value(std::shared_ptr<const Dict> dict) : data_(std::move(dict)) {}
  Value(std::shared_ptr<Object> object) : data_(std::move(object)) {}
  Value(std::shared_ptr<const UndefinedInfo> undefined) : data_(std::move(undefined)) {}

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is_none() const { return kind() == Kind::kNone; }
  bool is_bool() const { return kind() == Kind::kBool; }
  bool is_text() const { return kind() == Kind::kText; }
  bool is_dict() const { return kind() == Kind::kDict; }
  bool is_object() const { return kind() == Kind::kObject; }
  bool is_undefined() const { return kind() == Kind::kUndefined; }
  bool is_items() const { return kind() == Kind::kList || kind() == Kind::kTuple; }
  bool is_integral() const { return kind() == Kind::kBool || kind() == Kind::kInt; }
  bool is_number() const { return is_integral() || kind() == Kind::kFloat; }
  bool is_markup() const { return is_text() && text().escaping == Escaping::kMarkup; }

  // REQUIRES: the kind that the name says.
  bool boolean() const { return std::get<bool>(data_); }
  double floating() const { return std::get<double>(data_); }
  const Text& text() const { return *std::get<std::shared_ptr<const Text>>(data_); }
  const std::string& bytes() const { return text().bytes; }
  const Dict& dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
  Object& object() const { return *std::get<std::shared_ptr<Object>>(data_); }
  const UndefinedInfo& undefined() const {
    return *std::get<std::shared_ptr<const UndefinedInfo>>(data_);
  }
  const Items& items() const;  // list or tuple
  const Tuple& tuple() const { return *std::get<std::shared_ptr<const Tuple>>(data_); }
  int64_t integer() const;  // bool or int
  double number() const;    // bool, int or float

  // The object of that type, or nullptr.
  template <class T>
  T* object_as() const {
    return is_object() ? dynamic_cast<T*>(&object()) : nullptr;
  }

  // Python's `is`: the same thing, not an equal one. Texts and numbers are the same when equal.
  bool same_as(const Value& other) const;

 private:
  std::variant<None, bool, int64_t, double, std::shared_ptr<const Text>,
               std::shared_ptr<const List>, std::shared_ptr<const Tuple>,
               std::shared_ptr<const Dict>, std::shared_ptr<Object>,
               std::shared_ptr<const UndefinedInfo>>
      data_;
};

// A dict: keys in the order in which they came, found by bisection.
class Dict {
 public:
  using Entry = std::pair<Value, Value>;

  // The last value of a key wins and keeps the first one's place. REQUIRES: every key is_hashable.
  Dict(Runtime& run, std::vector<Entry> entries);

  const std::vector<Entry>& entries() const { return entries_; }
  size_t size() const { return entries_.size(); }
  // nullptr where there is no such key.
  const Value* find(std::string_view key) const;
  const Value* find(Runtime& run, const Value& key) const;
  int depth() const { return depth_; }

 private:
  std::vector<Entry> entries_;
  std::vector<uint32_t> by_key_;  // indices of entries_, ascending by key
  int depth_ = 1;
  Charge charge_;
};

// Whether a value may be a key of a dict.
bool is_hashable(const Value& value);

// For each key the index of the first key equal to it, which may be its own; and the order that the
// keys sort in. REQUIRES: every key is_hashable.
struct KeyOrder {
  std::vector<uint32_t> first_equal;
  std::vector<uint32_t> ascending;
};
KeyOrder order_of_keys(Runtime& run, const std::vector<Dict::Entry>& entries);

// 0 for scalars; 1 + the deepest value inside for containers and for objects that hold values.
int depth_of(const Value& value);

// The name of a value's type in messages: "str", "NoneType".
std::string_view type_name(const Value& value);

// A text that belongs to a template, not to a render.
Value constant_text(std::string bytes);

}  // namespace fathom::text::jinja
