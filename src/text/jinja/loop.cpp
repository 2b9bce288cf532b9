#include "text/jinja/loop.h"

#include "text/jinja/arguments.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"

namespace fathom::text::jinja {
namespace {

// The items that pass a loop's test, tested when they are asked for.
class TestedItems final : public Iterator {
 public:
  TestedItems(Interpreter& interpreter, const For& node, std::shared_ptr<Frame> frame,
              std::unique_ptr<Iterator> source)
      : interpreter_(interpreter),
        node_(node),
        frame_(std::move(frame)),
        source_(std::move(source)) {}

  std::optional<Value> next(Runtime& run) override {
    if (running_) throw failure("generator already executing");  // the test asks the loop
    running_ = true;
    std::optional<Value> item = source_->next(run);
    while (item && !interpreter_.passes_test(node_, frame_, *item)) item = source_->next(run);
    running_ = false;
    return item;
  }

 private:
  Interpreter& interpreter_;
  const For& node_;
  std::shared_ptr<Frame> frame_;
  std::unique_ptr<Iterator> source_;
  bool running_ = false;
};

class VectorIterator final : public Iterator {
 public:
  explicit VectorIterator(std::vector<Value> values) : values_(std::move(values)) {}
  std::optional<Value> next(Runtime& run) override {
    run.step();
    return at_ < values_.size() ? std::optional(values_[at_++]) : std::nullopt;
  }

 private:
  std::vector<Value> values_;
  size_t at_ = 0;
};

// Pairs of an item and the loop itself.
class LoopItems final : public Iterator {
 public:
  explicit LoopItems(std::shared_ptr<Object> loop) : loop_(std::move(loop)) {}
  std::optional<Value> next(Runtime& run) override {
    std::optional<Value> item = static_cast<Loop&>(*loop_).advance(run);
    if (!item) return std::nullopt;
    return run.tuple({std::move(*item), loop_});
  }

 private:
  std::shared_ptr<Object> loop_;
};

Value call_cycle(Runtime&, const Value& self, Arguments arguments) {
  const auto& loop = static_cast<const Loop&>(self.object());
  if (!arguments.named.empty()) throw failure("cycle() takes no keyword arguments");
  if (arguments.positional.empty()) throw failure("no items for cycling given");
  return arguments.positional[static_cast<size_t>(loop.index0()) % arguments.positional.size()];
}

Value call_changed(Runtime& run, const Value& self, Arguments arguments) {
  if (!arguments.named.empty()) throw failure("changed() takes no keyword arguments");
  auto& loop = static_cast<Loop&>(self.object());
  return loop.changed(run, run.tuple(std::move(arguments.positional)));
}

void move_to(std::vector<Value>& out, std::optional<Value>& value) {
  if (value) out.push_back(std::move(*value));
  value.reset();
}

}  // namespace

Loop::Loop(Interpreter& run, const Origin& origin, Value iterable, std::unique_ptr<Iterator> source)
    : MutableObject(run, run.checked_depth(depth_of(iterable) + 1)),
      interpreter_(run),
      origin_(origin),
      iterable_(std::move(iterable)),
      source_(std::move(source)) {}

void Loop::release() {
  std::vector<Value> values{std::move(iterable_)};
  iterable_ = {};
  for (std::optional<Value>* value : {&before_, &current_, &after_, &last_changed_}) {
    move_to(values, *value);
  }
  bury(std::move(values));
}

std::optional<Value> Loop::advance(Runtime& run) {
  std::optional<Value> item = after_ ? std::move(after_) : source_->next(run);
  after_.reset();
  if (!item) return std::nullopt;
  ++index0_;
  before_ = std::move(current_);
  current_ = item;
  return item;
}

const std::optional<Value>& Loop::peek(Runtime& run) {
  if (!after_) after_ = source_->next(run);
  return after_;
}

int64_t Loop::total(Runtime& run) {
  if (length_) return *length_;
  if (origin_.node->test == nullptr) length_ = length_if_any(run, iterable_);
  if (!length_) {
    std::vector<Value> rest = drain(run, *source_);
    length_ = static_cast<int64_t>(rest.size()) + index0_ + 1 + (after_ ? 1 : 0);
    source_ = std::make_unique<VectorIterator>(std::move(rest));
  }
  return *length_;
}

std::optional<int64_t> Loop::length(Runtime& run) { return total(run); }

std::unique_ptr<Iterator> Loop::iterate(Runtime&) {
  return std::make_unique<LoopItems>(shared_from_this());
}

void Loop::write_repr(Runtime&, TextBuilder& out) const { out.append("<LoopContext>"); }

std::optional<Value> Loop::attribute(Runtime& run, std::string_view name) {
  if (name == "index0") return index0_;
  if (name == "index") return index0_ + 1;
  if (name == "first") return index0_ == 0;
  if (name == "last") return !peek(run).has_value();
  if (name == "length") return total(run);
  if (name == "revindex") return total(run) - index0_;
  if (name == "revindex0") return total(run) - index0_ - 1;
  if (name == "depth") return origin_.depth0 + 1;
  if (name == "depth0") return origin_.depth0;
  if (name == "previtem") {
    return index0_ > 0 && before_ ? *before_ : run.undefined("there is no previous item");
  }
  if (name == "nextitem") {
    const std::optional<Value>& next = peek(run);
    return next ? *next : run.undefined("there is no next item");
  }
  if (name == "cycle") return run.make<Function>(run, "cycle", shared_from_this(), call_cycle);
  if (name == "changed")
    return run.make<Function>(run, "changed", shared_from_this(), call_changed);
  return std::nullopt;
}

bool Loop::changed(Runtime& run, Value values) {
  if (last_changed_ && equal(run, *last_changed_, values)) return false;
  std::vector<Value> old;
  move_to(old, last_changed_);
  last_changed_ = std::move(values);
  bury(std::move(old));
  return true;
}

Value Loop::call(Runtime&, Arguments arguments) {
  const Bound args("loop", "iterable", std::move(arguments));
  if (origin_.outer == nullptr) {
    throw Failure{"the loop is not recursive, so it cannot be called",
                  "{% for x in y recursive %} makes it so"};
  }
  return interpreter_.call_loop(*origin_.node, *origin_.outer, args[0], origin_.depth0 + 1);
}

std::unique_ptr<Iterator> loop_source(Interpreter& run, const For& node,
                                      const std::shared_ptr<Frame>& outer, const Value& iterable) {
  std::unique_ptr<Iterator> items = iterate(run, iterable);
  if (node.test == nullptr) return items;
  return std::make_unique<TestedItems>(run, node, run.enter_test(node, outer), std::move(items));
}

}  // namespace fathom::text::jinja
