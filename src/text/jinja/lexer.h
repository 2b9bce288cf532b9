// Splits a template into tokens, with Jinja's rules for white space around tags:
//
//   trim_blocks    the line end after a block tag or a comment goes
//   lstrip_blocks  the blanks between a line's beginning and a block tag or a comment go
//   {%- -%}        all white space on that side goes; {%+ +%} switches the two rules above off
//
// Comments disappear here; {% raw %} becomes data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/jinja/source.h"

namespace fathom::text::jinja {

enum class TokenKind : uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kFloorDiv,
  kMod,
  kPow,
  kTilde,
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kAssign,
  kDot,
  kComma,
  kColon,
  kSemicolon,
  kPipe,
  kLeftParen,
  kRightParen,
  kLeftBracket,
  kRightBracket,
  kLeftBrace,
  kRightBrace,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Position position = 0;
  std::string text;  // of data, a name, a string (escapes decoded)
  int64_t integer = 0;
  double floating = 0;

  bool is_name(std::string_view name) const { return kind == TokenKind::kName && text == name; }
};

// The last token is kEnd. Throws Error(kBadFile).
std::vector<Token> tokenize(const Source& source);

// "name 'x'", "'{'", "end of the template": for messages.
std::string describe(const Token& token);
std::string describe(TokenKind kind);

}  // namespace fathom::text::jinja
