// Visiting the parts of an expression, whatever its kind.
#pragma once

#include "text/jinja/ast.h"

namespace fathom::text::jinja {

// Overloads of lambdas, for std::visit.
template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

template <class Visit>
void visit_arguments(CallArguments& arguments, Visit&& visit) {
  for (Expr& e : arguments.positional) visit(*e);
  for (auto& [name, e] : arguments.named) visit(*e);
  if (arguments.more_positional) visit(*arguments.more_positional);
  if (arguments.more_named) visit(*arguments.more_named);
}

// Calls visit(Expression&) for every direct operand, in the order in which they are written.
template <class Visit>
void visit_operands(Expression& expression, Visit&& visit) {
  const auto each = [&](std::vector<Expr>& expressions) {
    for (Expr& e : expressions) visit(*e);
  };
  const auto one = [&](Expr& e) {
    if (e) visit(*e);
  };
  const auto chain = [&](auto& node) {
    visit(*node.first);
    for (auto& step : node.rest) visit(*step.operand);
  };
  const auto used = [&](auto& node) {
    one(node.subject);
    visit_arguments(node.arguments, visit);
  };
  std::visit(Overloaded{
                 [](Literal&) {},
                 [](Name&) {},
                 [](Captured&) {},
                 [&](ListDisplay& n) { each(n.items); },
                 [&](TupleDisplay& n) { each(n.items); },
                 [&](DictDisplay& n) {
                   for (auto& [key, value] : n.entries) {
                     visit(*key);
                     visit(*value);
                   }
                 },
                 [&](Unary& n) { visit(*n.operand); },
                 [&](Arithmetic& n) { chain(n); },
                 [&](Comparison& n) { chain(n); },
                 [&](Logic& n) { each(n.operands); },
                 [&](Concat& n) { each(n.operands); },
                 [&](Conditional& n) {
                   visit(*n.test);
                   visit(*n.then);
                   one(n.otherwise);
                 },
                 [&](Attribute& n) { visit(*n.object); },
                 [&](Subscript& n) {
                   visit(*n.object);
                   visit(*n.index);
                 },
                 [&](Slice& n) {
                   visit(*n.object);
                   one(n.start);
                   one(n.stop);
                   one(n.step);
                 },
                 [&](Call& n) {
                   visit(*n.callee);
                   visit_arguments(n.arguments, visit);
                 },
                 [&](FilterUse& n) { used(n); },
                 [&](TestUse& n) { used(n); },
             },
             expression.node);
}

}  // namespace fathom::text::jinja
