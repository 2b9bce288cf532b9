#include <algorithm>
#include <array>

#include "text/jinja/parser.h"
#include "text/jinja/walk.h"

namespace fathom::text::jinja {
namespace {

// An expression may be several nodes deep for each level of nesting that its author wrote.
constexpr int kNodesPerLevel = 4;

std::optional<CompareOp> comparison_of(TokenKind kind) {
  switch (kind) {
    case TokenKind::kEq:
      return CompareOp::kEq;
    case TokenKind::kNe:
      return CompareOp::kNe;
    case TokenKind::kLt:
      return CompareOp::kLt;
    case TokenKind::kLe:
      return CompareOp::kLe;
    case TokenKind::kGt:
      return CompareOp::kGt;
    case TokenKind::kGe:
      return CompareOp::kGe;
    default:
      return std::nullopt;
  }
}

}  // namespace

struct Parser::ArithmeticToken {
  TokenKind kind;
  ArithmeticOp op;
};

template <class Node>
Expr Parser::make(Position at, Node node) const {
  auto expression = std::make_unique<Expression>(Expression{at, 1, std::move(node)});
  int deepest = 0;
  visit_operands(*expression, [&](const Expression& e) { deepest = std::max(deepest, e.depth); });
  expression->depth = deepest + 1;
  const int limit = depth_ * kNodesPerLevel;
  if (expression->depth > limit) {
    fail(at, fmt::format("an expression is more than {} operations deep", limit));
  }
  return expression;
}

Expr Parser::parse_expression(Conditionals conditionals) {
  const Nesting nested(*this);
  Expr value = parse_or();
  while (conditionals == Conditionals::kAllowed && current().is_name("if")) {
    const Position at = next().position;
    Conditional node{parse_or(), std::move(value), nullptr};
    if (skip_name("else")) node.otherwise = parse_expression();
    value = make(at, std::move(node));
  }
  return value;
}

Expr Parser::parse_tuple(Conditionals conditionals) {
  const Position at = current().position;
  TupleDisplay several;
  bool is_tuple = false;
  for (;;) {
    const bool ended =
        is(TokenKind::kVariableEnd) || is(TokenKind::kBlockEnd) || is(TokenKind::kRightParen);
    if (ended) break;
    several.items.push_back(parse_expression(conditionals));
    if (!skip(TokenKind::kComma)) break;
    is_tuple = true;
  }
  if (is_tuple) return make(at, std::move(several));
  if (several.items.empty()) {
    fail(at, fmt::format("expected an expression, got {}", describe(current())));
  }
  return std::move(several.items.front());
}

Expr Parser::parse_or() {
  const Position at = current().position;
  Expr first = parse_and();
  if (!current().is_name("or")) return first;
  Logic node{LogicOp::kOr, {}};
  node.operands.push_back(std::move(first));
  while (skip_name("or")) node.operands.push_back(parse_and());
  return make(at, std::move(node));
}

Expr Parser::parse_and() {
  const Position at = current().position;
  Expr first = parse_not();
  if (!current().is_name("and")) return first;
  Logic node{LogicOp::kAnd, {}};
  node.operands.push_back(std::move(first));
  while (skip_name("and")) node.operands.push_back(parse_not());
  return make(at, std::move(node));
}

Expr Parser::parse_not() {
  if (!current().is_name("not")) return parse_comparison();
  const Nesting nested(*this);
  const Position at = next().position;
  return make(at, Unary{UnaryOp::kNot, parse_not()});
}

Expr Parser::parse_comparison() {
  Expr first = parse_sum();
  const Position at = current().position;
  Comparison node{nullptr, {}};
  for (;;) {
    const Position op_at = current().position;
    if (const auto op = comparison_of(current().kind)) {
      next();
      node.rest.push_back({*op, op_at, parse_sum()});
    } else if (skip_name("in")) {
      node.rest.push_back({CompareOp::kIn, op_at, parse_sum()});
    } else if (current().is_name("not") && ahead().is_name("in")) {
      next();
      next();
      node.rest.push_back({CompareOp::kNotIn, op_at, parse_sum()});
    } else {
      break;
    }
  }
  if (node.rest.empty()) return first;
  node.first = std::move(first);
  return make(at, std::move(node));
}

Expr Parser::parse_arithmetic(std::span<const ArithmeticToken> operators,
                              Expr (Parser::*operand)()) {
  Expr first = (this->*operand)();
  const Position at = current().position;
  const auto matches = [&](const ArithmeticToken& token) { return token.kind == current().kind; };
  Arithmetic node{nullptr, {}};
  for (;;) {
    const auto op = std::find_if(operators.begin(), operators.end(), matches);
    if (op == operators.end()) break;
    const Position op_at = next().position;
    node.rest.push_back({op->op, op_at, (this->*operand)()});
  }
  if (node.rest.empty()) return first;
  node.first = std::move(first);
  return make(at, std::move(node));
}

Expr Parser::parse_sum() {
  static constexpr ArithmeticToken kSums[] = {{TokenKind::kAdd, ArithmeticOp::kAdd},
                                              {TokenKind::kSub, ArithmeticOp::kSub}};
  return parse_arithmetic(kSums, &Parser::parse_concat);
}

Expr Parser::parse_product() {
  static constexpr ArithmeticToken kProducts[] = {{TokenKind::kMul, ArithmeticOp::kMul},
                                                  {TokenKind::kDiv, ArithmeticOp::kDiv},
                                                  {TokenKind::kFloorDiv, ArithmeticOp::kFloorDiv},
                                                  {TokenKind::kMod, ArithmeticOp::kMod}};
  return parse_arithmetic(kProducts, &Parser::parse_power);
}

Expr Parser::parse_power() {
  static constexpr ArithmeticToken kPowers[] = {{TokenKind::kPow, ArithmeticOp::kPow}};
  return parse_arithmetic(kPowers, &Parser::parse_signed);
}

Expr Parser::parse_concat() {
  Expr first = parse_product();
  if (!is(TokenKind::kTilde)) return first;
  const Position at = current().position;
  Concat node;
  node.operands.push_back(std::move(first));
  while (skip(TokenKind::kTilde)) node.operands.push_back(parse_product());
  return make(at, std::move(node));
}

Expr Parser::parse_signed() { return parse_filters_and_tests(parse_unary()); }

Expr Parser::parse_unary() {
  const Position at = current().position;
  if (!is(TokenKind::kSub) && !is(TokenKind::kAdd)) return parse_postfix(parse_primary());
  const Nesting nested(*this);
  const UnaryOp op = next().kind == TokenKind::kSub ? UnaryOp::kNegate : UnaryOp::kPlus;
  return parse_postfix(make(at, Unary{op, parse_unary()}));
}

Expr Parser::parse_primary() {
  const Position at = current().position;
  switch (current().kind) {
    case TokenKind::kName:
      return parse_name();
    case TokenKind::kString:
      return parse_string();
    case TokenKind::kInteger:
      return make(at, Literal{next().integer});
    case TokenKind::kFloat:
      return make(at, Literal{next().floating});
    case TokenKind::kLeftParen:
      return parse_parenthesised();
    case TokenKind::kLeftBracket:
      return parse_list();
    case TokenKind::kLeftBrace:
      return parse_dict();
    default:
      fail(at, fmt::format("unexpected {}, expected an expression", describe(current())));
  }
}

Expr Parser::parse_name() {
  Token token = next();
  const std::string& name = token.text;
  if (name == "true" || name == "True") return make(token.position, Literal{true});
  if (name == "false" || name == "False") return make(token.position, Literal{false});
  if (name == "none" || name == "None") return make(token.position, Literal{Value()});
  return make(token.position, Name{std::move(token.text), {}});
}

Expr Parser::parse_string() {
  const Position at = current().position;
  std::string text;
  while (is(TokenKind::kString)) text += next().text;
  return make(at, Literal{constant_text(std::move(text))});
}

Expr Parser::parse_parenthesised() {
  const Position at = next().position;
  if (skip(TokenKind::kRightParen)) return make(at, TupleDisplay{});
  Expr inside = parse_tuple(Conditionals::kAllowed);
  expect(TokenKind::kRightParen);
  return inside;
}

Expr Parser::parse_list() {
  const Position at = next().position;
  ListDisplay list;
  while (!is(TokenKind::kRightBracket)) {
    if (!list.items.empty()) expect(TokenKind::kComma);
    if (is(TokenKind::kRightBracket)) break;
    list.items.push_back(parse_expression());
  }
  next();
  return make(at, std::move(list));
}

Expr Parser::parse_dict() {
  const Position at = next().position;
  DictDisplay dict;
  while (!is(TokenKind::kRightBrace)) {
    if (!dict.entries.empty()) expect(TokenKind::kComma);
    if (is(TokenKind::kRightBrace)) break;
    Expr key = parse_expression();
    expect(TokenKind::kColon);
    dict.entries.emplace_back(std::move(key), parse_expression());
  }
  next();
  return make(at, std::move(dict));
}

Expr Parser::parse_postfix(Expr subject) {
  for (;;) {
    switch (current().kind) {
      case TokenKind::kDot:
        subject = parse_attribute(std::move(subject));
        break;
      case TokenKind::kLeftBracket:
        subject = parse_subscript(std::move(subject));
        break;
      case TokenKind::kLeftParen:
        subject = parse_call_of(std::move(subject));
        break;
      default:
        return subject;
    }
  }
}

Expr Parser::parse_attribute(Expr object) {
  next();
  const Position at = current().position;
  if (is(TokenKind::kName)) return make(at, Attribute{std::move(object), next().text});
  if (!is(TokenKind::kInteger)) {
    fail(at, fmt::format("unexpected {}, expected a name or a number", describe(current())));
  }
  Expr index = make(at, Literal{next().integer});
  return make(at, Subscript{std::move(object), std::move(index)});
}

Expr Parser::parse_subscript(Expr object) {
  const Position at = next().position;
  TupleDisplay several;
  while (!is(TokenKind::kRightBracket)) {
    if (!several.items.empty()) expect(TokenKind::kComma);
    Expr start;
    if (!is(TokenKind::kColon)) start = parse_expression();
    if (is(TokenKind::kColon)) {
      if (!several.items.empty()) fail(at, "a slice cannot stand among several subscripts");
      return parse_slice(at, std::move(object), std::move(start));
    }
    several.items.push_back(std::move(start));
  }
  next();
  const bool single = several.items.size() == 1;
  Expr index = single ? std::move(several.items.front()) : make(at, std::move(several));
  return make(at, Subscript{std::move(object), std::move(index)});
}

Expr Parser::parse_slice(Position at, Expr object, Expr start) {
  Slice slice{std::move(object), std::move(start), nullptr, nullptr};
  next();
  const auto part = [&]() -> Expr {
    if (is(TokenKind::kColon) || is(TokenKind::kRightBracket)) return nullptr;
    return parse_expression();
  };
  slice.stop = part();
  if (skip(TokenKind::kColon)) slice.step = part();
  expect(TokenKind::kRightBracket);
  return make(at, std::move(slice));
}

Expr Parser::parse_call_of(Expr callee) {
  const Position at = current().position;
  return make(at, Call{std::move(callee), parse_arguments()});
}

CallArguments Parser::parse_arguments() {
  CallArguments out;
  expect(TokenKind::kLeftParen);
  bool first = true;
  while (!is(TokenKind::kRightParen)) {
    if (!first) expect(TokenKind::kComma);
    first = false;
    if (is(TokenKind::kRightParen)) break;
    parse_argument(out);
  }
  next();
  return out;
}

void Parser::parse_argument(CallArguments& out) {
  const Position at = current().position;
  const auto ensure = [&](bool condition) {
    if (!condition) fail(at, "positional, named, * and ** arguments come in that order");
  };
  if (skip(TokenKind::kMul)) {
    ensure(out.more_positional == nullptr && out.more_named == nullptr);
    out.more_positional = parse_expression();
  } else if (skip(TokenKind::kPow)) {
    ensure(out.more_named == nullptr);
    out.more_named = parse_expression();
  } else if (is(TokenKind::kName) && ahead().kind == TokenKind::kAssign) {
    ensure(out.more_named == nullptr);
    const std::string name = next().text;
    const auto same = [&](const auto& argument) { return argument.first == name; };
    if (std::any_of(out.named.begin(), out.named.end(), same)) {
      fail(at, fmt::format("the argument '{}' is there twice", name));
    }
    next();
    out.named.emplace_back(name, parse_expression());
  } else {
    ensure(out.more_positional == nullptr && out.more_named == nullptr && out.named.empty());
    out.positional.push_back(parse_expression());
  }
}

Expr Parser::parse_filters_and_tests(Expr subject) {
  for (;;) {
    if (is(TokenKind::kPipe)) {
      subject = parse_filter(std::move(subject));
    } else if (current().is_name("is")) {
      subject = parse_test(std::move(subject));
    } else if (is(TokenKind::kLeftParen)) {
      subject = parse_call_of(std::move(subject));
    } else {
      return subject;
    }
  }
}

std::string Parser::parse_dotted_name() {
  std::string name = expect(TokenKind::kName).text;
  while (skip(TokenKind::kDot)) {
    name += '.';
    name += expect(TokenKind::kName).text;
  }
  return name;
}

Expr Parser::parse_filter(Expr subject) {
  skip(TokenKind::kPipe);
  const Position at = current().position;
  FilterUse use{std::move(subject), parse_dotted_name(), {}};
  if (is(TokenKind::kLeftParen)) use.arguments = parse_arguments();
  return make(at, std::move(use));
}

Expr Parser::parse_block_filters() {
  Expr value = parse_filter(make(current().position, Captured{}));
  while (is(TokenKind::kPipe)) value = parse_filter(std::move(value));
  return value;
}

Expr Parser::parse_test(Expr subject) {
  next();
  const bool is_negated = skip_name("not");
  const Position at = current().position;
  TestUse use{std::move(subject), parse_dotted_name(), {}};
  constexpr auto kArgumentStarts =
      std::to_array<TokenKind>({TokenKind::kName, TokenKind::kString, TokenKind::kInteger,
                                TokenKind::kFloat, TokenKind::kLeftBracket, TokenKind::kLeftBrace});
  const bool ends =
      current().is_name("else") || current().is_name("or") || current().is_name("and");
  if (is(TokenKind::kLeftParen)) {
    use.arguments = parse_arguments();
  } else if (!ends && std::find(kArgumentStarts.begin(), kArgumentStarts.end(), current().kind) !=
                          kArgumentStarts.end()) {
    if (current().is_name("is")) fail(current().position, "tests cannot be chained with 'is'");
    use.arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  Expr test = make(at, std::move(use));
  return is_negated ? make(at, Unary{UnaryOp::kNot, std::move(test)}) : std::move(test);
}

}  // namespace fathom::text::jinja
