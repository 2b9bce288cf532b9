// The syntax tree of a template: plain data that the parser makes, the linker completes and the
// interpreter reads.
//
// Operators of one level stand in one node ("a + b - c" is one Arithmetic), so that the tree's
// depth is bounded by the nesting that the template's author wrote.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/operations.h"
#include "text/jinja/source.h"
#include "text/jinja/value.h"

namespace fathom::text::jinja {

struct Builtin;
struct Expression;
struct Statement;
using Expr = std::unique_ptr<Expression>;
using Body = std::vector<Statement>;

// -- Names and frames.

// Where a variable lives: so many frames outwards, and there which slot. Filled by the linker.
struct Slot {
  uint32_t hops = 0;
  uint32_t index = 0;
};

// What a slot holds when its frame is entered.
struct SlotLoad {
  enum class From {
    kParameter,  // whoever enters the frame sets it
    kContext,    // the variable or global of that number in Template::context_names
    kOuter,      // a copy of an outer frame's slot
    kNothing,
  };
  From from = From::kNothing;
  uint32_t context = 0;
  Slot outer;  // hops count from the frame itself
};

struct FrameLayout {
  std::vector<SlotLoad> slots;
};

// -- Expressions.

struct Literal {
  Value value;
};
struct Name {
  std::string name;
  Slot slot;
};
// What a filter block or a set block with filters has captured: the innermost filter's subject.
struct Captured {};
struct ListDisplay {
  std::vector<Expr> items;
};
struct TupleDisplay {
  std::vector<Expr> items;
};
struct DictDisplay {
  std::vector<std::pair<Expr, Expr>> entries;
};
enum class UnaryOp { kNegate, kPlus, kNot };
struct Unary {
  UnaryOp op;
  Expr operand;
};
struct Arithmetic {  // from left to right
  struct Step {
    ArithmeticOp op;
    Position position;
    Expr operand;
  };
  Expr first;
  std::vector<Step> rest;
};
struct Comparison {  // a < b <= c: holds if every neighbouring pair does
  struct Step {
    CompareOp op;
    Position position;
    Expr operand;
  };
  Expr first;
  std::vector<Step> rest;
};
enum class LogicOp { kAnd, kOr };
struct Logic {
  LogicOp op;
  std::vector<Expr> operands;
};
struct Concat {
  std::vector<Expr> operands;
};
struct Conditional {
  Expr test, then;
  Expr otherwise;  // nullptr: undefined
};
struct Attribute {
  Expr object;
  std::string name;
};
struct Subscript {
  Expr object, index;
};
struct Slice {
  Expr object;
  Expr start, stop, step;  // nullptr where left out
};
struct CallArguments {
  std::vector<Expr> positional;
  std::vector<std::pair<std::string, Expr>> named;
  Expr more_positional;  // *expression, or nullptr
  Expr more_named;       // **expression, or nullptr
};
struct Call {
  Expr callee;
  CallArguments arguments;
};
struct FilterUse {
  Expr subject;
  std::string name;
  CallArguments arguments;
  const Builtin* filter = nullptr;  // filled by the linker; nullptr: no such filter
};
struct TestUse {
  Expr subject;
  std::string name;
  CallArguments arguments;
  const Builtin* test = nullptr;  // as above
};

struct Expression {
  Position position;
  int depth;  // 1 + the deepest operand's
  std::variant<Literal, Name, Captured, ListDisplay, TupleDisplay, DictDisplay, Unary, Arithmetic,
               Comparison, Logic, Concat, Conditional, Attribute, Subscript, Slice, Call, FilterUse,
               TestUse>
      node;
};

// -- What can be assigned to.

struct Target;
struct NameTarget {
  std::string name;
  uint32_t slot = 0;  // of the innermost frame
};
struct AttributeTarget {  // of a namespace
  Name object;
  std::string attribute;
};
struct TupleTarget {
  std::vector<Target> parts;
};
struct Target {
  Position position;
  std::variant<NameTarget, AttributeTarget, TupleTarget> node;
};

// -- Statements.

struct TextOutput {
  std::string text;
};
struct Print {
  std::vector<Expr> expressions;
};
struct If {
  struct Branch {
    Expr test;
    Body body;
  };
  std::vector<Branch> branches;
  Body otherwise;
};
struct For {
  Target target;
  Expr iterable;
  Expr test;  // for x in y if test, or nullptr
  bool recursive = false;
  Body body;
  std::optional<Body> otherwise;
  FrameLayout body_frame, test_frame, otherwise_frame;
  Target test_target;      // the target again, for the test's frame
  uint32_t loop_slot = 0;  // of body_frame
};
struct Break {};
struct Continue {};
struct Set {
  Target target;
  Expr value;
};
struct SetBlock {
  Target target;
  Expr filter;  // around Captured, or nullptr
  Body body;
  FrameLayout frame;
};
struct FilterBlock {
  Expr filter;  // around Captured
  Body body;
  FrameLayout frame;
};
struct With {
  std::vector<Target> targets;
  std::vector<Expr> values;
  Body body;
  FrameLayout frame;
};

struct Parameter {
  Position position;
  std::string name;
  Expr fallback;  // nullptr where there is none
};
// A macro's body, or a call block's: parameters take the frame's first slots.
struct MacroBody {
  std::string name;  // empty for call blocks
  std::vector<Parameter> parameters;
  Body body;
  FrameLayout frame;
  // The slots of the names that a body may use without declaring them; nothing where it does not.
  std::optional<uint32_t> caller_slot, kwargs_slot, varargs_slot;
};
struct MacroDefinition {
  NameTarget target;
  MacroBody macro;
};
struct CallBlock {
  Expr call;  // a Call
  MacroBody caller;
};
// {% generation %}: marks what the model said; renders as its body does.
struct Generation {
  MacroBody macro;
};

struct Statement {
  Position position;
  std::variant<TextOutput, Print, If, For, Break, Continue, Set, SetBlock, FilterBlock, With,
               MacroDefinition, CallBlock, Generation>
      node;
};

struct Template {
  Body body;
  FrameLayout frame;
  std::vector<std::string> context_names;
};

}  // namespace fathom::text::jinja
