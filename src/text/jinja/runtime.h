// What a render shares with everything that runs in it: its bounds, and the making of values.
//
// Every loop that a template can drive calls step(), every text that it can grow passes
// check_text(), every value is charged to the heap and every recursion over data is bounded by the
// data's depth. One thread.
#pragma once

#include <algorithm>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat_template.h"
#include "text/jinja/object.h"
#include "text/jinja/source.h"
#include "text/jinja/value.h"

namespace fathom::text::jinja {

class Runtime {
 public:
  Runtime(const ChatTemplate::Limits& limits, const std::tm& now);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // -- Bounds: each throws Failure where the bound is passed.
  void step(size_t n = 1) {
    if (n > steps_left_) fail_steps();
    steps_left_ -= n;
  }
  // Work that grows with a text's size.
  void scan(size_t bytes) { step(bytes / kBytesPerStep); }
  // REQUIRED before a text of that size is made.
  void check_text(size_t bytes) const;
  // REQUIRED before that many values are collected.
  void check_items(size_t count) const { heap_.check(count * sizeof(Value)); }
  Charge charge(size_t bytes) { return {heap_, bytes}; }
  // The depth itself, if data may be that deep.
  int checked_depth(int depth) const;
  size_t text_limit() const { return limits_.output_bytes; }

  // One more level of nesting, for as long as it lives.
  class Nesting {
   public:
    explicit Nesting(Runtime& run) : run_(run) {
      if (++run_.nesting_ > run_.nesting_limit_) run_.fail_nesting();
    }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    ~Nesting() { --run_.nesting_; }

   private:
    Runtime& run_;
  };

  // -- Values.
  Value text(std::string bytes, Escaping escaping = Escaping::kPlain);
  // Markup where the subject is.
  Value text_like(const Value& subject, std::string bytes);
  Value list(std::vector<Value> values);
  Value tuple(std::vector<Value> values);
  Value group(Value grouper, Value list);
  // Throws Failure for a key that no dict can have.
  Value dict(std::vector<Dict::Entry> entries);
  Value undefined(std::string message);
  Value undefined_name(std::string_view name);
  // What object.name or object[name] is where it is not there.
  Value undefined_part(const Value& object, const Value& name);

  template <class T, class... Args>
  Value make(Args&&... args) {
    constexpr size_t kOverhead = 96;  // of the allocation, and of what the object allocates itself
    Charge charged(heap_, sizeof(T) + kOverhead);
    auto object = std::make_shared<T>(std::forward<Args>(args)...);
    object->charge_ = std::move(charged);
    return std::shared_ptr<Object>(std::move(object));
  }

  const std::tm& now() const { return now_; }

 protected:
  // Every value dies before the heap: derived classes hold values, and their members go first.
  ~Runtime();
  // Breaks the cycles among mutable objects, so that every value can die.
  void release_objects();

 private:
  friend class MutableObject;
  // So that a step is a fraction of a microsecond, whatever it is spent on.
  static constexpr size_t kBytesPerStep = 128;

  [[noreturn]] void fail_steps() const;
  [[noreturn]] void fail_nesting() const;

  ChatTemplate::Limits limits_;
  std::tm now_;
  size_t steps_left_;
  int nesting_ = 0;
  int nesting_limit_;
  Heap heap_;
  Reaper reaper_;
  MutableObject* living_ = nullptr;
};

// Grows a text, checking its size on the way.
class TextBuilder {
 public:
  explicit TextBuilder(Runtime& run) : run_(run) {}
  void append(std::string_view bytes) {
    run_.check_text(text_.size() + bytes.size());
    text_ += bytes;
  }
  void append(size_t count, char c) {
    if (count > run_.text_limit()) run_.check_text(count);
    run_.check_text(text_.size() + count);
    text_.append(count, c);
  }
  std::string take() { return std::move(text_); }

  // A container that is being written, for as long as this lives. Namespaces may hold themselves:
  // then is_repeated() tells the inner one.
  class Writing {
   public:
    Writing(TextBuilder& out, const void* container) : out_(out) {
      is_repeated_ = std::find(out.open_.begin(), out.open_.end(), container) != out.open_.end();
      out.open_.push_back(container);
    }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    ~Writing() { out_.open_.pop_back(); }
    bool is_repeated() const { return is_repeated_; }

   private:
    TextBuilder& out_;
    bool is_repeated_;
  };

 private:
  Runtime& run_;
  std::string text_;
  std::vector<const void*> open_;
};

// Adds to a collection, checking its size on the way.
template <class T>
void grow(Runtime& run, std::vector<T>& values, T value) {
  run.step();
  if (values.size() == values.capacity()) run.check_items(2 * values.size());
  values.push_back(std::move(value));
}

}  // namespace fathom::text::jinja
