// Runs a linked template once.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"

namespace fathom::text::jinja {

// The variables of one running block. Values are missing until they are set.
struct Frame : std::enable_shared_from_this<Frame> {
  explicit Frame(std::shared_ptr<Frame> o) : outer(std::move(o)) {}

  std::shared_ptr<Frame> outer;
  std::vector<std::optional<Value>> slots;
  bool is_pinned = false;
};

class Interpreter final : public Runtime {
 public:
  struct Inputs {
    const ChatTemplate::Json& variables;
    const std::tm& now;
  };
  // Everything given must outlive the interpreter.
  Interpreter(const Template& tree, const ChatTemplate::Limits& limits, const Inputs& inputs);
  ~Interpreter();

  // The output. Throws Failure or Raised; position() then is where. Call it once.
  std::string render();
  Position position() const { return position_; }

  // -- For macros and loops.

  // Keeps a frame, and the frames around it, until the render ends: something that can outlive the
  // block refers to it.
  Frame* pin(const std::shared_ptr<Frame>& frame);
  Value call_macro(const MacroBody& macro, Frame& outer, Arguments arguments);
  // loop(iterable) in a recursive loop.
  Value call_loop(const For& loop, Frame& outer, const Value& iterable, int depth0);
  // Whether an item passes the loop's test, in a frame made by enter_test().
  bool passes_test(const For& loop, const std::shared_ptr<Frame>& frame, const Value& item);
  std::shared_ptr<Frame> enter_test(const For& loop, const std::shared_ptr<Frame>& outer);

 private:
  enum class Flow { kNext, kBreak, kContinue };

  // Makes a frame the current one, for as long as it lives.
  class Within {
   public:
    Within(Interpreter& self, std::shared_ptr<Frame> frame)
        : self_(self), before_(std::exchange(self.frame_, std::move(frame))) {}
    Within(const Within&) = delete;
    Within& operator=(const Within&) = delete;
    ~Within() { self_.frame_ = std::move(before_); }

   private:
    Interpreter& self_;
    std::shared_ptr<Frame> before_;
  };

  // -- Frames.
  std::shared_ptr<Frame> enter(const FrameLayout& layout, const std::shared_ptr<Frame>& outer);
  void load_slots(Frame& frame, const FrameLayout& layout);
  static Frame& frame_at(Frame& frame, uint32_t hops);
  std::optional<Value> context_value(uint32_t number);

  // -- Output.
  void emit(std::string_view text);
  void emit(const Value& value);
  // What runs between two points of the output, taken out of it again.
  std::string take_output(size_t from);

  // -- Statements: interpreter.cpp.
  Flow run(const Body& body);
  Flow run_node(const TextOutput& node);
  Flow run_node(const Print& node);
  Flow run_node(const If& node);
  Flow run_node(const For& node);
  Flow run_node(const Break&) { return Flow::kBreak; }
  Flow run_node(const Continue&) { return Flow::kContinue; }
  Flow run_node(const Set& node);
  Flow run_node(const SetBlock& node);
  Flow run_node(const FilterBlock& node);
  Flow run_node(const With& node);
  Flow run_node(const MacroDefinition& node);
  Flow run_node(const CallBlock& node);
  Flow run_node(const Generation& node);
  Flow run_loop(const For& node, const std::shared_ptr<Frame>& outer, const Value& iterable,
                int depth0);
  void assign(const Target& target, Value value);
  void assign_node(const NameTarget& target, Value value);
  void assign_node(const AttributeTarget& target, Value value);
  void assign_node(const TupleTarget& target, Value value);
  Value filtered(const Expression& filter, std::string text);

  // -- Expressions: evaluate.cpp.
  Value evaluate(const Expression& expression);
  Value evaluate_node(const Literal& node, Position at);
  Value evaluate_node(const Name& node, Position at);
  Value evaluate_node(const Captured& node, Position at);
  Value evaluate_node(const ListDisplay& node, Position at);
  Value evaluate_node(const TupleDisplay& node, Position at);
  Value evaluate_node(const DictDisplay& node, Position at);
  Value evaluate_node(const Unary& node, Position at);
  Value evaluate_node(const Arithmetic& node, Position at);
  Value evaluate_node(const Comparison& node, Position at);
  Value evaluate_node(const Logic& node, Position at);
  Value evaluate_node(const Concat& node, Position at);
  Value evaluate_node(const Conditional& node, Position at);
  Value evaluate_node(const Attribute& node, Position at);
  Value evaluate_node(const Subscript& node, Position at);
  Value evaluate_node(const Slice& node, Position at);
  Value evaluate_node(const Call& node, Position at);
  Value evaluate_node(const FilterUse& node, Position at);
  Value evaluate_node(const TestUse& node, Position at);
  std::vector<Value> evaluate_all(const std::vector<Expr>& expressions);
  Value evaluate_or_none(const Expr& expression);
  Arguments evaluate_arguments(const CallArguments& arguments);

  // -- Macros: macro.cpp.
  Value make_macro(const MacroBody& macro);
  void bind_parameters(const MacroBody& macro, Frame& frame, Arguments arguments);
  void set_fallbacks(const MacroBody& macro, Frame& frame);

  const Template& tree_;
  const Inputs inputs_;
  Position position_ = 0;
  std::string output_;
  std::shared_ptr<Frame> frame_;
  Value captured_;  // by the innermost filter block
  // Looked up once: nothing inside is a name that nobody gave.
  std::vector<std::optional<std::optional<Value>>> context_;
  std::vector<std::shared_ptr<Frame>> pinned_;
  std::vector<Charge> pins_;
};

}  // namespace fathom::text::jinja
