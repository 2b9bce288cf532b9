#include "text/jinja/parser.h"

#include <algorithm>
#include <utility>

namespace fathom::text::jinja {
namespace {

constexpr std::string_view kTags[] = {
    "autoescape", "break",     "call",   "continue",      "elif",  "else",     "endautoescape",
    "endcall",    "endfilter", "endfor", "endgeneration", "endif", "endmacro", "endset",
    "endwith",    "filter",    "for",    "generation",    "if",    "macro",    "print",
    "raw",        "set",       "with"};
constexpr std::string_view kTagsOfOtherTemplates[] = {"block", "extends", "from", "import",
                                                      "include"};

std::string alternatives(const std::vector<std::string>& names) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? " or " : ", ";
    out += fmt::format("{{% {} %}}", names[i]);
  }
  return out;
}

template <class Node>
void add(Body& out, Position at, Node node) {
  out.push_back({at, std::move(node)});
}

}  // namespace

Parser::Parser(const Source& source, int depth)
    : source_(source), tokens_(tokenize(source)), depth_(depth) {}

Parser::Nesting::Nesting(Parser& parser) : parser_(parser) {
  if (++parser.nesting_ > parser.depth_) {
    parser.fail(parser.current().position,
                fmt::format("blocks and expressions nest more than {} deep", parser.depth_));
  }
}

Template Parser::parse() {
  Template out;
  out.body = parse_until({});
  return out;
}

Token Parser::next() {
  Token token = std::move(tokens_[at_]);
  tokens_[at_].kind = token.kind;
  if (token.kind != TokenKind::kEnd) ++at_;
  return token;
}

bool Parser::skip(TokenKind kind) {
  if (!is(kind)) return false;
  next();
  return true;
}

bool Parser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  next();
  return true;
}

Token Parser::expect(TokenKind kind) {
  if (!is(kind)) {
    fail(current().position,
         fmt::format("unexpected {}, expected {}", describe(current()), describe(kind)));
  }
  return next();
}

void Parser::expect_name(std::string_view name) {
  if (!skip_name(name)) {
    fail(current().position,
         fmt::format("unexpected {}, expected '{}'", describe(current()), name));
  }
}

void Parser::fail(Position at, const std::string& message, std::string hint) const {
  throw source_.error(at, message, std::move(hint));
}

Body Parser::parse_until(std::initializer_list<std::string_view> ends) {
  Body body;
  for (;;) {
    if (is(TokenKind::kEnd)) {
      if (ends.size() == 0) return body;
      fail(current().position, fmt::format("the template ends inside {{% {} %}}; expected {}",
                                           open_.back().name, alternatives(open_.back().ends)));
    }
    if (is(TokenKind::kData)) {
      const Position at = current().position;
      add(body, at, TextOutput{next().text});
    } else if (is(TokenKind::kVariableBegin)) {
      parse_print(body);
    } else {
      expect(TokenKind::kBlockBegin);
      const bool ended =
          is(TokenKind::kName) && std::find(ends.begin(), ends.end(), current().text) != ends.end();
      if (ended) return body;
      parse_tag(body);
      expect(TokenKind::kBlockEnd);
    }
  }
}

Body Parser::parse_body(std::string_view end) {
  open_.back().ends = {std::string(end)};
  skip(TokenKind::kColon);
  expect(TokenKind::kBlockEnd);
  Body body = parse_until({end});
  next();
  return body;
}

void Parser::parse_print(Body& out) {
  const Position at = next().position;
  Print print;
  print.expressions.push_back(parse_tuple(Conditionals::kAllowed));
  expect(TokenKind::kVariableEnd);
  add(out, at, std::move(print));
}

void Parser::parse_tag(Body& out) {
  if (!is(TokenKind::kName)) {
    fail(current().position,
         fmt::format("unexpected {}, expected a tag's name", describe(current())));
  }
  const Nesting nested(*this);
  const Token tag = next();
  open_.push_back({tag.text, {}});
  parse_known_tag(tag, out);
  open_.pop_back();
}

void Parser::parse_known_tag(const Token& tag, Body& out) {
  struct Tag {
    std::string_view name;
    void (Parser::*parse)(Position, Body&);
  };
  static constexpr Tag kParsers[] = {
      {"if", &Parser::parse_if},
      {"for", &Parser::parse_for},
      {"set", &Parser::parse_set},
      {"macro", &Parser::parse_macro},
      {"call", &Parser::parse_call},
      {"filter", &Parser::parse_filter_tag},
      {"with", &Parser::parse_with},
      {"print", &Parser::parse_print_tag},
      {"break", &Parser::parse_loop_jump},
      {"continue", &Parser::parse_loop_jump},
      {"generation", &Parser::parse_generation},
      {"autoescape", &Parser::parse_autoescape},
  };
  for (const Tag& known : kParsers) {
    if (known.name == tag.text) return (this->*known.parse)(tag.position, out);
  }
  fail_tag(tag);
}

void Parser::fail_tag(const Token& tag) const {
  const auto among = [&](std::span<const std::string_view> names) {
    return std::find(names.begin(), names.end(), tag.text) != names.end();
  };
  if (among(kTagsOfOtherTemplates)) {
    fail(tag.position,
         fmt::format("{{% {} %}} is not offered: a chat template stands alone", tag.text));
  }
  // The innermost tag is the unknown one itself.
  if (open_.size() > 1 && among(kTags)) {
    const OpenTag& around = open_[open_.size() - 2];
    fail(tag.position,
         fmt::format("{{% {} %}} does not belong here: {{% {} %}} is open and needs {}", tag.text,
                     around.name, alternatives(around.ends)));
  }
  if (among(kTags)) {
    fail(tag.position, fmt::format("{{% {} %}} does not belong here: no tag is open", tag.text));
  }
  fail(tag.position, fmt::format("unknown tag '{}'", tag.text), nearest_name_hint(tag.text, kTags));
}

void Parser::parse_print_tag(Position at, Body& out) {
  Print print;
  while (!is(TokenKind::kBlockEnd)) {
    if (!print.expressions.empty()) expect(TokenKind::kComma);
    print.expressions.push_back(parse_expression());
  }
  add(out, at, std::move(print));
}

void Parser::parse_if(Position at, Body& out) {
  If node;
  for (;;) {
    Expr test = parse_tuple(Conditionals::kLeftOut);
    open_.back().ends = {"elif", "else", "endif"};
    skip(TokenKind::kColon);
    expect(TokenKind::kBlockEnd);
    node.branches.push_back({std::move(test), parse_until({"elif", "else", "endif"})});
    const Token end = next();
    if (end.is_name("elif")) continue;
    if (end.is_name("else")) node.otherwise = parse_body("endif");
    break;
  }
  add(out, at, std::move(node));
}

void Parser::parse_for(Position at, Body& out) {
  For node;
  node.target = parse_target();
  expect_name("in");
  node.iterable = parse_tuple(Conditionals::kLeftOut);
  if (skip_name("if")) node.test = parse_expression();
  node.recursive = skip_name("recursive");
  open_.back().ends = {"else", "endfor"};
  skip(TokenKind::kColon);
  expect(TokenKind::kBlockEnd);
  ++loops_;
  node.body = parse_until({"else", "endfor"});
  --loops_;
  if (next().is_name("else")) node.otherwise = parse_body("endfor");
  node.test_target = node.target;
  add(out, at, std::move(node));
}

void Parser::parse_loop_jump(Position at, Body& out) {
  const std::string& name = open_.back().name;
  if (loops_ == 0) fail(at, fmt::format("{{% {} %}} stands outside of any loop", name));
  if (name == "break") {
    add(out, at, Break{});
  } else {
    add(out, at, Continue{});
  }
}

Target Parser::parse_target() {
  const Position at = current().position;
  TupleTarget several;
  bool is_tuple = false;
  for (;;) {
    if (is_tuple && is(TokenKind::kBlockEnd)) break;
    several.parts.push_back(target_of(*parse_primary()));
    if (!skip(TokenKind::kComma)) break;
    is_tuple = true;
  }
  if (!is_tuple) return std::move(several.parts.front());
  return {at, std::move(several)};
}

Target Parser::target_of(const Expression& expression) const {
  if (const Name* name = std::get_if<Name>(&expression.node)) {
    return {expression.position, NameTarget{name->name}};
  }
  if (const TupleDisplay* tuple = std::get_if<TupleDisplay>(&expression.node)) {
    TupleTarget several;
    for (const Expr& item : tuple->items) several.parts.push_back(target_of(*item));
    return {expression.position, std::move(several)};
  }
  fail(expression.position, "only names can be assigned to");
}

Target Parser::parse_set_target() {
  if (ahead().kind != TokenKind::kDot) return parse_target();
  AttributeTarget target;
  const Position at = current().position;
  target.object.name = expect(TokenKind::kName).text;
  next();
  target.attribute = expect(TokenKind::kName).text;
  return {at, std::move(target)};
}

void Parser::parse_set(Position at, Body& out) {
  Target target = parse_set_target();
  if (skip(TokenKind::kAssign)) {
    return add(out, at, Set{std::move(target), parse_tuple(Conditionals::kAllowed)});
  }
  SetBlock node{std::move(target), nullptr, {}, {}};
  if (is(TokenKind::kPipe)) node.filter = parse_block_filters();
  node.body = parse_body("endset");
  add(out, at, std::move(node));
}

void Parser::parse_with(Position at, Body& out) {
  With node;
  while (!is(TokenKind::kBlockEnd) && !is(TokenKind::kColon)) {
    if (!node.targets.empty()) expect(TokenKind::kComma);
    node.targets.push_back(parse_target());
    expect(TokenKind::kAssign);
    node.values.push_back(parse_expression());
  }
  node.body = parse_body("endwith");
  add(out, at, std::move(node));
}

// Only the value that changes nothing is allowed: what chat templates make is never HTML.
void Parser::parse_autoescape(Position at, Body& out) {
  const Expr value = parse_expression();
  const Literal* literal = std::get_if<Literal>(&value->node);
  if (literal == nullptr || !literal->value.is_bool() || literal->value.boolean()) {
    fail(at, "{% autoescape %} is offered with the value false only");
  }
  With scope;
  scope.body = parse_body("endautoescape");
  add(out, at, std::move(scope));
}

std::vector<Parameter> Parser::parse_parameters() {
  std::vector<Parameter> out;
  expect(TokenKind::kLeftParen);
  while (!is(TokenKind::kRightParen)) {
    if (!out.empty()) expect(TokenKind::kComma);
    const Token name = expect(TokenKind::kName);
    const auto same = [&](const Parameter& p) { return p.name == name.text; };
    if (std::any_of(out.begin(), out.end(), same)) {
      fail(name.position, fmt::format("the parameter '{}' is there twice", name.text));
    }
    Parameter parameter{name.position, name.text, nullptr};
    if (skip(TokenKind::kAssign)) {
      parameter.fallback = parse_expression();
    } else if (!out.empty() && out.back().fallback != nullptr) {
      fail(name.position,
           fmt::format("the parameter '{}' needs a default: one before it has one", name.text));
    }
    out.push_back(std::move(parameter));
  }
  next();
  return out;
}

MacroBody Parser::parse_macro_body(std::string name, std::vector<Parameter> parameters,
                                   std::string_view end) {
  MacroBody macro;
  macro.name = std::move(name);
  macro.parameters = std::move(parameters);
  const int loops_outside = std::exchange(loops_, 0);
  macro.body = parse_body(end);
  loops_ = loops_outside;
  return macro;
}

void Parser::parse_macro(Position at, Body& out) {
  const Token name = expect(TokenKind::kName);
  std::vector<Parameter> parameters = parse_parameters();
  MacroDefinition node;
  node.target.name = name.text;
  node.macro = parse_macro_body(name.text, std::move(parameters), "endmacro");
  add(out, at, std::move(node));
}

void Parser::parse_call(Position at, Body& out) {
  std::vector<Parameter> parameters;
  if (is(TokenKind::kLeftParen)) parameters = parse_parameters();
  Expr call = parse_expression();
  if (!std::holds_alternative<Call>(call->node)) {
    fail(call->position, "{% call %} needs a call, as in {% call macro(x) %}");
  }
  add(out, at, CallBlock{std::move(call), parse_macro_body({}, std::move(parameters), "endcall")});
}

void Parser::parse_filter_tag(Position at, Body& out) {
  FilterBlock node;
  node.filter = parse_block_filters();
  node.body = parse_body("endfilter");
  add(out, at, std::move(node));
}

void Parser::parse_generation(Position at, Body& out) {
  add(out, at, Generation{parse_macro_body({}, {}, "endgeneration")});
}

}  // namespace fathom::text::jinja
