// Reads a template's tokens into its syntax tree.
//
// The grammar is Jinja's, with the extensions that chat templates rely on: {% break %},
// {% continue %} and {% generation %}. Tags that need other templates (extends, include, import,
// block) are refused. Throws Error(kBadFile) with the position.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace fathom::text::jinja {

class Parser {
 public:
  // `depth` bounds the nesting of blocks and expressions. The source must outlive the parser.
  Parser(const Source& source, int depth);

  // The tree, not yet linked.
  Template parse();

 private:
  // One level of nesting, for as long as it lives.
  class Nesting {
   public:
    explicit Nesting(Parser& parser);
    ~Nesting() { --parser_.nesting_; }

   private:
    Parser& parser_;
  };
  enum class Conditionals { kAllowed, kLeftOut };

  // -- parser.cpp: statements.
  Body parse_until(std::initializer_list<std::string_view> ends);
  // {% tag %} ... {% end %}; the end tag's name is taken.
  Body parse_body(std::string_view end);
  void parse_print(Body& out);
  void parse_tag(Body& out);
  void parse_known_tag(const Token& tag, Body& out);
  void parse_print_tag(Position at, Body& out);
  void parse_if(Position at, Body& out);
  void parse_for(Position at, Body& out);
  void parse_loop_jump(Position at, Body& out);
  void parse_set(Position at, Body& out);
  void parse_with(Position at, Body& out);
  void parse_macro(Position at, Body& out);
  void parse_call(Position at, Body& out);
  void parse_filter_tag(Position at, Body& out);
  void parse_generation(Position at, Body& out);
  void parse_autoescape(Position at, Body& out);
  MacroBody parse_macro_body(std::string name, std::vector<Parameter> parameters,
                             std::string_view end);
  std::vector<Parameter> parse_parameters();
  [[noreturn]] void fail_tag(const Token& tag) const;

  // What can be assigned to: one name or several.
  Target parse_target();
  Target parse_set_target();
  Target target_of(const Expression& expression) const;

  // -- parser_expressions.cpp: from the loosest to the tightest.
  Expr parse_expression(Conditionals conditionals = Conditionals::kAllowed);
  // One expression, or several with commas between them.
  Expr parse_tuple(Conditionals conditionals);
  Expr parse_or();
  Expr parse_and();
  Expr parse_not();
  Expr parse_comparison();
  struct ArithmeticToken;
  Expr parse_arithmetic(std::span<const ArithmeticToken> operators, Expr (Parser::*operand)());
  Expr parse_sum();
  Expr parse_concat();
  Expr parse_product();
  Expr parse_power();
  Expr parse_signed();
  Expr parse_unary();
  Expr parse_primary();
  Expr parse_name();
  Expr parse_string();
  Expr parse_parenthesised();
  Expr parse_list();
  Expr parse_dict();
  Expr parse_postfix(Expr subject);
  Expr parse_attribute(Expr object);
  Expr parse_subscript(Expr object);
  Expr parse_slice(Position at, Expr object, Expr start);
  Expr parse_call_of(Expr callee);
  CallArguments parse_arguments();
  void parse_argument(CallArguments& out);
  Expr parse_filters_and_tests(Expr subject);
  Expr parse_filter(Expr subject);
  // The filters of a block's tag, around what the block captures.
  Expr parse_block_filters();
  Expr parse_test(Expr subject);
  std::string parse_dotted_name();

  // -- The token stream.
  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  Token next();
  bool is(TokenKind kind) const { return current().kind == kind; }
  bool skip(TokenKind kind);
  bool skip_name(std::string_view name);
  Token expect(TokenKind kind);
  void expect_name(std::string_view name);

  template <class Node>
  Expr make(Position at, Node node) const;

  [[noreturn]] void fail(Position at, const std::string& message, std::string hint = {}) const;

  const Source& source_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_;
  int nesting_ = 0;
  int loops_ = 0;  // around the current tag, within the innermost macro
  struct OpenTag {
    std::string name;
    std::vector<std::string> ends;
  };
  std::vector<OpenTag> open_;
};

}  // namespace fathom::text::jinja
