// Values with identity and behaviour: functions, macros, iterators, namespaces, ...
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace fathom::text::jinja {

class TextBuilder;

// The arguments of a call as the template wrote them. Names do not repeat.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Hands out the values of an iteration, one by one.
class Iterator {
 public:
  virtual ~Iterator() = default;
  // Nothing at the end, and ever after.
  virtual std::optional<Value> next(Runtime& run) = 0;
};

// Made by Runtime::make, which charges it to the heap. The defaults are those of an object that can
// do nothing.
class Object : public std::enable_shared_from_this<Object> {
 public:
  // REQUIRES: depth is Runtime::checked_depth of what the object will hold.
  explicit Object(int depth) : depth_(depth) {}
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  // As Python's type(x).__name__, and with the module in front where messages show it.
  virtual std::string_view type_name() const = 0;
  virtual std::string_view full_type_name() const { return type_name(); }
  // What {{ object }} prints.
  virtual void write_repr(Runtime& run, TextBuilder& out) const;

  // object.name; nothing where there is no such attribute.
  virtual std::optional<Value> attribute(Runtime&, std::string_view) { return std::nullopt; }
  // object[index]; nothing where Python would raise TypeError or LookupError.
  virtual std::optional<Value> item(Runtime&, const Value&) { return std::nullopt; }
  virtual std::unique_ptr<Iterator> iterate(Runtime&) { return nullptr; }
  virtual std::optional<int64_t> length(Runtime&) { return std::nullopt; }
  // Whether object[index] may work: what the "sequence" test asks.
  virtual bool has_items() const { return false; }
  // Whether it may be a key of a dict.
  virtual bool is_hashable() const { return true; }
  virtual bool is_callable() const { return false; }
  // REQUIRES: is_callable().
  virtual Value call(Runtime& run, Arguments arguments);
  virtual bool equals(Runtime&, const Value&) const { return false; }

  int depth() const { return depth_; }

 private:
  friend class Runtime;
  int depth_;
  Charge charge_;
};

// Where mutable objects leave the values they held. Chains and cycles of such objects have no
// bounded depth, so their values are destroyed one after the other here, never by recursion.
class Reaper {
 public:
  void bury(std::vector<Value> values);

 private:
  std::vector<std::vector<Value>> dead_;
  bool reaping_ = false;
};

// An object whose values may change after it is made, and may then hold the object itself. The
// runtime empties those that are left when the render ends.
class MutableObject : public Object {
 public:
  MutableObject(Runtime& run, int depth);
  ~MutableObject() override;
  // Lets go of every value. The object is of no use afterwards.
  virtual void release() = 0;

 protected:
  void bury(std::vector<Value> values) { reaper_.bury(std::move(values)); }

 private:
  friend class Runtime;
  Runtime& run_;
  Reaper& reaper_;
  MutableObject* before_ = nullptr;  // the runtime's list of the living
  MutableObject* after_ = nullptr;
};

// {% set ns = namespace(a=1) %}{% set ns.a = 2 %}
class Namespace final : public MutableObject {
 public:
  Namespace(Runtime& run, std::vector<std::pair<std::string, Value>> attributes);
  ~Namespace() override { Namespace::release(); }
  std::string_view type_name() const override { return "Namespace"; }
  std::string_view full_type_name() const override { return "jinja2.utils.Namespace"; }
  void write_repr(Runtime& run, TextBuilder& out) const override;
  std::optional<Value> attribute(Runtime& run, std::string_view name) override;
  void set(std::string_view name, Value value);
  void release() override;

 private:
  std::vector<std::pair<std::string, Value>> attributes_;
};

// range(...): its numbers are made when they are asked for.
class Range final : public Object {
 public:
  // REQUIRES: count is how many steps from start stay in front of stop.
  Range(int64_t start, int64_t stop, int64_t step, int64_t count)
      : Object(1), start_(start), stop_(stop), step_(step), count_(count) {}
  std::string_view type_name() const override { return "range"; }
  void write_repr(Runtime& run, TextBuilder& out) const override;
  std::optional<Value> item(Runtime& run, const Value& index) override;
  std::unique_ptr<Iterator> iterate(Runtime& run) override;
  std::optional<int64_t> length(Runtime&) override { return count_; }
  bool has_items() const override { return true; }
  bool equals(Runtime& run, const Value& other) const override;

  // REQUIRES: the number is one of the range, or its stop. The product may pass 64 bits.
  int64_t at(int64_t i) const {
    return static_cast<int64_t>(static_cast<uint64_t>(start_) +
                                static_cast<uint64_t>(i) * static_cast<uint64_t>(step_));
  }
  int64_t count() const { return count_; }
  int64_t step() const { return step_; }

 private:
  int64_t start_, stop_, step_, count_;
};

// dict.keys(), .values() and .items().
class DictView final : public Object {
 public:
  enum class Shows { kKeys, kValues, kItems };
  DictView(Runtime& run, Value dict, Shows shows);
  std::string_view type_name() const override;
  void write_repr(Runtime& run, TextBuilder& out) const override;
  std::unique_ptr<Iterator> iterate(Runtime& run) override;
  std::optional<int64_t> length(Runtime&) override;
  bool is_hashable() const override { return shows_ == Shows::kValues; }

 private:
  Value dict_;
  Shows shows_;
};

// An iterator as a value: what map, select and their like return. It can be read once.
class Generator final : public Object {
 public:
  // REQUIRES: depth as for Object.
  Generator(std::string_view type, int depth, std::unique_ptr<Iterator> source)
      : Object(depth), type_(type), source_(std::move(source)) {}
  std::string_view type_name() const override { return type_; }
  std::unique_ptr<Iterator> iterate(Runtime& run) override;
  std::optional<Value> next(Runtime& run);

 private:
  std::string_view type_;
  std::unique_ptr<Iterator> source_;  // nullptr once it has ended
  bool running_ = false;
};

// cycler('odd', 'even')
class Cycler final : public Object {
 public:
  Cycler(Runtime& run, Value items);
  std::string_view type_name() const override { return "Cycler"; }
  std::string_view full_type_name() const override { return "jinja2.utils.Cycler"; }
  std::optional<Value> attribute(Runtime& run, std::string_view name) override;
  Value current() const;
  void advance();
  void reset() { at_ = 0; }

 private:
  Value items_;
  size_t at_ = 0;
};

// joiner(', '): "" the first time it is called, the separator after that.
class Joiner final : public Object {
 public:
  Joiner(Runtime& run, Value separator);
  std::string_view type_name() const override { return "Joiner"; }
  std::string_view full_type_name() const override { return "jinja2.utils.Joiner"; }
  bool is_callable() const override { return true; }
  Value call(Runtime& run, Arguments arguments) override;

 private:
  Value separator_;
  bool used_ = false;
};

// A function that templates can call: a global, or a method bound to its value.
class Function final : public Object {
 public:
  using Body = Value (*)(Runtime& run, const Value& self, Arguments arguments);
  // `name` must outlive the render.
  Function(Runtime& run, std::string_view name, Value self, Body body);
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  void write_repr(Runtime& run, TextBuilder& out) const override;
  bool is_callable() const override { return true; }
  Value call(Runtime& run, Arguments arguments) override {
    return body_(run, self_, std::move(arguments));
  }

 private:
  std::string_view name_;
  Value self_;
  Body body_;
};

}  // namespace fathom::text::jinja
