// The interpreter's expressions.
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"

namespace fathom::text::jinja {

Value Interpreter::evaluate(const Expression& expression) {
  const Nesting nested(*this);
  step();
  position_ = expression.position;
  return std::visit([&](const auto& node) { return evaluate_node(node, expression.position); },
                    expression.node);
}

std::vector<Value> Interpreter::evaluate_all(const std::vector<Expr>& expressions) {
  std::vector<Value> values;
  values.reserve(expressions.size());
  for (const Expr& e : expressions) values.push_back(evaluate(*e));
  return values;
}

Value Interpreter::evaluate_or_none(const Expr& expression) {
  return expression ? evaluate(*expression) : Value();
}

Value Interpreter::evaluate_node(const Literal& node, Position) { return node.value; }

Value Interpreter::evaluate_node(const Name& node, Position) {
  const std::optional<Value>& value = frame_at(*frame_, node.slot.hops).slots[node.slot.index];
  return value ? *value : undefined_name(node.name);
}

Value Interpreter::evaluate_node(const Captured&, Position) { return captured_; }

Value Interpreter::evaluate_node(const ListDisplay& node, Position at) {
  std::vector<Value> values = evaluate_all(node.items);
  position_ = at;
  return list(std::move(values));
}

Value Interpreter::evaluate_node(const TupleDisplay& node, Position at) {
  std::vector<Value> values = evaluate_all(node.items);
  position_ = at;
  return tuple(std::move(values));
}

Value Interpreter::evaluate_node(const DictDisplay& node, Position at) {
  std::vector<Dict::Entry> entries;
  for (const auto& [key, value] : node.entries) {
    Value name = evaluate(*key);
    entries.emplace_back(std::move(name), evaluate(*value));
  }
  position_ = at;
  return dict(std::move(entries));
}

Value Interpreter::evaluate_node(const Unary& node, Position at) {
  const Value operand = evaluate(*node.operand);
  position_ = at;
  switch (node.op) {
    case UnaryOp::kNot:
      return !truth(*this, operand);
    case UnaryOp::kNegate:
      return negated(operand);
    case UnaryOp::kPlus:
      break;
  }
  return unchanged_number(operand);
}

Value Interpreter::evaluate_node(const Arithmetic& node, Position) {
  Value value = evaluate(*node.first);
  for (const Arithmetic::Step& s : node.rest) {
    const Value operand = evaluate(*s.operand);
    position_ = s.position;
    value = arithmetic(*this, s.op, value, operand);
  }
  return value;
}

Value Interpreter::evaluate_node(const Comparison& node, Position) {
  Value left = evaluate(*node.first);
  for (const Comparison::Step& s : node.rest) {
    Value right = evaluate(*s.operand);
    position_ = s.position;
    if (!compare(*this, s.op, left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::evaluate_node(const Logic& node, Position) {
  Value value;
  for (const Expr& e : node.operands) {
    value = evaluate(*e);
    if (truth(*this, value) == (node.op == LogicOp::kOr)) break;
  }
  return value;
}

Value Interpreter::evaluate_node(const Concat& node, Position at) {
  const std::vector<Value> operands = evaluate_all(node.operands);
  position_ = at;
  TextBuilder out(*this);
  for (const Value& operand : operands) write_text(*this, out, operand);
  return text(out.take());
}

Value Interpreter::evaluate_node(const Conditional& node, Position) {
  if (truth(*this, evaluate(*node.test))) return evaluate(*node.then);
  if (node.otherwise) return evaluate(*node.otherwise);
  return undefined("the inline if was false and has no else");
}

Value Interpreter::evaluate_node(const Attribute& node, Position at) {
  const Value object = evaluate(*node.object);
  position_ = at;
  return attribute_of(*this, object, node.name);
}

Value Interpreter::evaluate_node(const Subscript& node, Position at) {
  const Value object = evaluate(*node.object);
  const Value index = evaluate(*node.index);
  position_ = at;
  return item_of(*this, object, index);
}

Value Interpreter::evaluate_node(const Slice& node, Position at) {
  const Value object = evaluate(*node.object);
  SliceParts parts;
  parts.start = evaluate_or_none(node.start);
  parts.stop = evaluate_or_none(node.stop);
  parts.step = evaluate_or_none(node.step);
  position_ = at;
  return slice_of(*this, object, parts);
}

Arguments Interpreter::evaluate_arguments(const CallArguments& arguments) {
  Arguments out;
  out.positional = evaluate_all(arguments.positional);
  for (const auto& [name, e] : arguments.named) out.named.emplace_back(name, evaluate(*e));
  if (arguments.more_positional) {
    for (Value& value : collect(*this, evaluate(*arguments.more_positional))) {
      out.positional.push_back(std::move(value));
    }
  }
  if (!arguments.more_named) return out;
  const Value more = evaluate(*arguments.more_named);
  if (!more.is_dict())
    throw failure("argument after ** must be a mapping, not {}", type_name(more));
  const size_t written = out.named.size();
  for (const auto& [key, value] : more.dict().entries()) {
    step();
    if (!key.is_text()) throw failure("keywords must be strings");
    for (size_t i = 0; i < written; ++i) {
      if (out.named[i].first == key.bytes()) {
        throw failure("got multiple values for keyword argument '{}'", key.bytes());
      }
    }
    out.named.emplace_back(key.bytes(), value);
  }
  return out;
}

Value Interpreter::evaluate_node(const Call& node, Position at) {
  const Value callee = evaluate(*node.callee);
  Arguments arguments = evaluate_arguments(node.arguments);
  position_ = at;
  return call_value(*this, callee, std::move(arguments));
}

Value Interpreter::evaluate_node(const FilterUse& node, Position at) {
  const Value subject = evaluate(*node.subject);
  Arguments arguments = evaluate_arguments(node.arguments);
  position_ = at;
  if (node.filter == nullptr) {
    throw Failure{fmt::format("no filter named '{}'", node.name),
                  nearest_name_hint(node.name, filter_names())};
  }
  return (*node.filter)(*this, subject, std::move(arguments));
}

Value Interpreter::evaluate_node(const TestUse& node, Position at) {
  const Value subject = evaluate(*node.subject);
  Arguments arguments = evaluate_arguments(node.arguments);
  position_ = at;
  if (node.test == nullptr) {
    throw Failure{fmt::format("no test named '{}'", node.name),
                  nearest_name_hint(node.name, test_names())};
  }
  return (*node.test)(*this, subject, std::move(arguments));
}

}  // namespace fathom::text::jinja
