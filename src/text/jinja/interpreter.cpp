#include "text/jinja/interpreter.h"

#include "text/jinja/builtins.h"
#include "text/jinja/json.h"
#include "text/jinja/loop.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"

namespace fathom::text::jinja {

Interpreter::Interpreter(const Template& tree, const ChatTemplate::Limits& limits,
                         const Inputs& inputs)
    : Runtime(limits, inputs.now),
      tree_(tree),
      inputs_(inputs),
      context_(tree.context_names.size()) {}

Interpreter::~Interpreter() {
  // Macros and frames refer to each other; this is where that ends.
  frame_ = nullptr;
  for (const std::shared_ptr<Frame>& frame : pinned_) frame->slots.clear();
  captured_ = {};
  release_objects();
}

std::string Interpreter::render() {
  frame_ = enter(tree_.frame, nullptr);
  run(tree_.body);
  return std::move(output_);
}

// -- Frames.

std::shared_ptr<Frame> Interpreter::enter(const FrameLayout& layout,
                                          const std::shared_ptr<Frame>& outer) {
  auto frame = std::make_shared<Frame>(outer);
  load_slots(*frame, layout);
  return frame;
}

void Interpreter::load_slots(Frame& frame, const FrameLayout& layout) {
  frame.slots.assign(layout.slots.size(), std::nullopt);
  for (size_t i = 0; i < layout.slots.size(); ++i) {
    const SlotLoad& load = layout.slots[i];
    if (load.from == SlotLoad::From::kContext) {
      frame.slots[i] = context_value(load.context);
    } else if (load.from == SlotLoad::From::kOuter) {
      frame.slots[i] = frame_at(frame, load.outer.hops).slots[load.outer.index];
    }
  }
}

Frame& Interpreter::frame_at(Frame& frame, uint32_t hops) {
  Frame* at = &frame;
  for (; hops > 0; --hops) at = at->outer.get();
  return *at;
}

std::optional<Value> Interpreter::context_value(uint32_t number) {
  std::optional<std::optional<Value>>& cached = context_[number];
  if (!cached) {
    const std::string& name = tree_.context_names[number];
    const auto given = inputs_.variables.find(name);
    cached = given == inputs_.variables.end() ? find_global(*this, name)
                                              : std::optional(from_json(*this, *given));
  }
  return *cached;
}

Frame* Interpreter::pin(const std::shared_ptr<Frame>& frame) {
  if (!frame->is_pinned) {
    constexpr size_t kOverhead = 64;
    const size_t slot_bytes = frame->slots.size() * sizeof(frame->slots[0]);
    pins_.push_back(charge(sizeof(Frame) + kOverhead + slot_bytes));
    pinned_.push_back(frame);
    frame->is_pinned = true;
  }
  return frame.get();
}

// -- Output.

void Interpreter::emit(std::string_view text) {
  if (text.size() > text_limit() - output_.size()) {
    throw failure("the output grows beyond the {} bytes allowed", text_limit());
  }
  output_ += text;
}

void Interpreter::emit(const Value& value) {
  if (value.is_text()) {
    scan(value.bytes().size());
    emit(value.bytes());
  } else {
    emit(to_text(*this, value));
  }
}

std::string Interpreter::take_output(size_t from) {
  std::string text = output_.substr(from);
  output_.resize(from);
  return text;
}

// -- Statements.

Interpreter::Flow Interpreter::run(const Body& body) {
  const Nesting nested(*this);
  for (const Statement& statement : body) {
    step();
    position_ = statement.position;
    const Flow flow = std::visit([&](const auto& node) { return run_node(node); }, statement.node);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_node(const TextOutput& node) {
  emit(node.text);
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_node(const Print& node) {
  for (const Expr& e : node.expressions) {
    const Value value = evaluate(*e);
    position_ = e->position;
    emit(value);
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_node(const If& node) {
  for (const If::Branch& branch : node.branches) {
    if (truth(*this, evaluate(*branch.test))) return run(branch.body);
  }
  return run(node.otherwise);
}

Interpreter::Flow Interpreter::run_node(const For& node) {
  const Value iterable = evaluate(*node.iterable);
  position_ = node.iterable->position;
  return run_loop(node, frame_, iterable, 0);
}

Interpreter::Flow Interpreter::run_loop(const For& node, const std::shared_ptr<Frame>& outer,
                                        const Value& iterable, int depth0) {
  const Value object =
      make<Loop>(*this, Loop::Origin{&node, node.recursive ? pin(outer) : nullptr, depth0},
                 iterable, loop_source(*this, node, outer, iterable));
  Loop& loop = static_cast<Loop&>(object.object());
  std::shared_ptr<Frame> frame;
  // As in Jinja, only an iteration that reaches the body's end keeps the else branch from running.
  bool completed = false;
  while (std::optional<Value> item = loop.advance(*this)) {
    if (frame == nullptr || frame.use_count() > 1) frame = std::make_shared<Frame>(outer);
    load_slots(*frame, node.body_frame);
    frame->slots[node.loop_slot] = object;
    const Within within(*this, frame);
    assign(node.target, std::move(*item));
    const Flow flow = run(node.body);
    if (flow == Flow::kBreak) break;
    completed = completed || flow == Flow::kNext;
  }
  if (completed || !node.otherwise) return Flow::kNext;
  const Within within(*this, enter(node.otherwise_frame, outer));
  return run(*node.otherwise);
}

Value Interpreter::call_loop(const For& loop, Frame& outer, const Value& iterable, int depth0) {
  const size_t start = output_.size();
  run_loop(loop, outer.shared_from_this(), iterable, depth0);
  return text(take_output(start));
}

std::shared_ptr<Frame> Interpreter::enter_test(const For& loop,
                                               const std::shared_ptr<Frame>& outer) {
  return enter(loop.test_frame, outer);
}

bool Interpreter::passes_test(const For& loop, const std::shared_ptr<Frame>& frame,
                              const Value& item) {
  const Within within(*this, frame);
  assign(loop.test_target, item);
  return truth(*this, evaluate(*loop.test));
}

Interpreter::Flow Interpreter::run_node(const Set& node) {
  Value value = evaluate(*node.value);
  assign(node.target, std::move(value));
  return Flow::kNext;
}

Value Interpreter::filtered(const Expression& filter, std::string text) {
  captured_ = this->text(std::move(text));
  return evaluate(filter);
}

Interpreter::Flow Interpreter::run_node(const SetBlock& node) {
  const size_t start = output_.size();
  Value value;
  {
    const Within within(*this, enter(node.frame, frame_));
    const Flow flow = run(node.body);
    std::string captured = take_output(start);
    if (flow != Flow::kNext) return flow;
    value = node.filter ? filtered(*node.filter, std::move(captured)) : text(std::move(captured));
  }
  assign(node.target, std::move(value));
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_node(const FilterBlock& node) {
  const size_t start = output_.size();
  const Within within(*this, enter(node.frame, frame_));
  const Flow flow = run(node.body);
  std::string captured = take_output(start);
  if (flow == Flow::kNext) emit(filtered(*node.filter, std::move(captured)));
  return flow;
}

Interpreter::Flow Interpreter::run_node(const With& node) {
  std::vector<Value> values = evaluate_all(node.values);
  const Within within(*this, enter(node.frame, frame_));
  for (size_t i = 0; i < values.size(); ++i) assign(node.targets[i], std::move(values[i]));
  return run(node.body);
}

Interpreter::Flow Interpreter::run_node(const MacroDefinition& node) {
  assign_node(node.target, make_macro(node.macro));
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_node(const CallBlock& node) {
  const Call& call = std::get<Call>(node.call->node);
  const Value callee = evaluate(*call.callee);
  Arguments arguments = evaluate_arguments(call.arguments);
  arguments.named.emplace_back("caller", make_macro(node.caller));
  position_ = node.call->position;
  emit(call_value(*this, callee, std::move(arguments)));
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_node(const Generation& node) {
  emit(call_macro(node.macro, *pin(frame_), {}));
  return Flow::kNext;
}

// -- Assignment.

void Interpreter::assign(const Target& target, Value value) {
  std::visit([&](const auto& node) { assign_node(node, std::move(value)); }, target.node);
}

void Interpreter::assign_node(const NameTarget& target, Value value) {
  frame_->slots[target.slot] = std::move(value);
}

void Interpreter::assign_node(const AttributeTarget& target, Value value) {
  const Value object = evaluate_node(target.object, position_);
  Namespace* space = object.object_as<Namespace>();
  if (space == nullptr) {
    throw failure("'{}' is no namespace: only namespaces let their attributes be set",
                  target.object.name);
  }
  space->set(target.attribute, std::move(value));
}

void Interpreter::assign_node(const TupleTarget& target, Value value) {
  const size_t expected = target.parts.size();
  if (!is_iterable(*this, value)) {
    throw failure("cannot unpack non-iterable {} object", type_name(value));
  }
  const std::unique_ptr<Iterator> iterator = iterate(*this, value);
  std::vector<Value> values;
  while (values.size() < expected) {
    std::optional<Value> item = iterator->next(*this);
    if (!item) {
      throw failure("not enough values to unpack (expected {}, got {})", expected, values.size());
    }
    values.push_back(std::move(*item));
  }
  if (iterator->next(*this)) throw failure("too many values to unpack (expected {})", expected);
  for (size_t i = 0; i < expected; ++i) assign(target.parts[i], std::move(values[i]));
}

}  // namespace fathom::text::jinja
