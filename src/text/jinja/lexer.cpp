#include "text/jinja/lexer.h"

#include <array>
#include <optional>
#include <utility>

#include "text/jinja/literal.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

struct Operator {
  std::string_view text;
  TokenKind kind;
};
// Two characters before one, so that the first that fits is the longest.
constexpr auto kOperators = std::to_array<Operator>({
    {"//", TokenKind::kFloorDiv},  {"**", TokenKind::kPow},        {"==", TokenKind::kEq},
    {"!=", TokenKind::kNe},        {"<=", TokenKind::kLe},         {">=", TokenKind::kGe},
    {"+", TokenKind::kAdd},        {"-", TokenKind::kSub},         {"*", TokenKind::kMul},
    {"/", TokenKind::kDiv},        {"%", TokenKind::kMod},         {"~", TokenKind::kTilde},
    {"<", TokenKind::kLt},         {">", TokenKind::kGt},          {"=", TokenKind::kAssign},
    {".", TokenKind::kDot},        {",", TokenKind::kComma},       {":", TokenKind::kColon},
    {";", TokenKind::kSemicolon},  {"|", TokenKind::kPipe},        {"(", TokenKind::kLeftParen},
    {")", TokenKind::kRightParen}, {"[", TokenKind::kLeftBracket}, {"]", TokenKind::kRightBracket},
    {"{", TokenKind::kLeftBrace},  {"}", TokenKind::kRightBrace},
});

class Lexer {
 public:
  explicit Lexer(const Source& source) : source_(source), text_(source.text()) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) read_data_and_tag();
    add(TokenKind::kEnd, text_.size());
    return std::move(tokens_);
  }

 private:
  enum class Sign { kNone, kMinus, kPlus };

  bool next_is(std::string_view what, size_t at) const {
    return text_.substr(at, what.size()) == what;
  }

  Token& add(TokenKind kind, size_t position) {
    Token& token = tokens_.emplace_back();
    token.kind = kind;
    token.position = static_cast<Position>(position);
    return token;
  }

  void add_data(std::string_view data, size_t position) {
    if (!data.empty()) add(TokenKind::kData, position).text = data;
  }

  size_t skip_space(size_t at) const { return at + leading_space(text_.substr(at)); }

  Sign sign_at(size_t at) const {
    if (at >= text_.size()) return Sign::kNone;
    return text_[at] == '-' ? Sign::kMinus : text_[at] == '+' ? Sign::kPlus : Sign::kNone;
  }

  size_t find_tag() const {
    for (size_t at = text_.find('{', at_); at < text_.size(); at = text_.find('{', at + 1)) {
      if (next_is("{{", at) || next_is("{%", at) || next_is("{#", at)) return at;
    }
    return text_.size();
  }

  void read_data_and_tag() {
    const size_t tag = find_tag();
    if (tag == text_.size()) {
      add_data(text_.substr(at_), at_);
      at_ = tag;
      return;
    }
    const char kind = text_[tag + 1];
    const Sign sign = sign_at(tag + 2);
    add_data(left_stripped(text_.substr(at_, tag - at_), sign, kind == '{'), at_);
    at_ = tag + (sign == Sign::kNone ? 2 : 3);
    if (kind == '#') return read_comment(tag);
    if (kind == '{') return read_tag(TokenKind::kVariableBegin, tag);
    if (const std::optional<size_t> body = end_of_raw_tag(tag)) {
      at_ = *body;
      line_begins_ = text_[at_ - 1] == '\n';
      return read_raw(tag);
    }
    read_tag(TokenKind::kBlockBegin, tag);
  }

  // What is left of the data in front of a tag: "-" takes all white space; otherwise a tag that is
  // no {{ takes the blanks since the line's beginning.
  std::string_view left_stripped(std::string_view data, Sign sign, bool prints) const {
    if (sign == Sign::kMinus) return data.substr(0, data.size() - trailing_space(data));
    if (sign == Sign::kPlus || prints) return data;
    const size_t line = data.rfind('\n') + 1;  // npos + 1 is 0
    if (line == 0 && !line_begins_) return data;
    const bool blank = leading_space(data.substr(line)) == data.size() - line;
    return blank ? data.substr(0, line) : data;
  }

  // Skips what a tag's end takes with it. REQUIRES: at_ is behind the end.
  void trim_right(Sign sign, bool trims_line_end) {
    if (sign == Sign::kMinus) {
      at_ = skip_space(at_);
    } else if (sign == Sign::kNone && trims_line_end && next_is("\n", at_)) {
      ++at_;
    }
    line_begins_ = text_[at_ - 1] == '\n';
  }

  void read_comment(size_t tag) {
    const size_t end = text_.find("#}", at_);
    if (end == std::string_view::npos) {
      if (at_ < text_.size()) throw error(tag, "a comment has no end", "comments end in #}");
      return;
    }
    const Sign sign = end > at_ ? sign_at(end - 1) : Sign::kNone;
    at_ = end + 2;
    trim_right(sign, true);
  }

  // Behind "{% raw %}", with the signs that it may have; nothing where another tag is there.
  std::optional<size_t> end_of_raw_tag(size_t tag) const {
    size_t at = skip_space(sign_at(tag + 2) == Sign::kNone ? tag + 2 : tag + 3);
    if (!next_is("raw", at)) return std::nullopt;
    at = skip_space(at + 3);
    if (next_is("%}", at)) return at + 2;
    if (next_is("-%}", at)) return skip_space(at + 3);
    return std::nullopt;
  }

  void read_raw(size_t tag) {
    for (size_t at = text_.find("{%", at_); at < text_.size(); at = text_.find("{%", at + 1)) {
      const Sign sign = sign_at(at + 2);
      size_t end = skip_space(sign == Sign::kNone ? at + 2 : at + 3);
      if (!next_is("endraw", end)) continue;
      end = skip_space(end + 6);
      const Sign end_sign = sign_at(end);
      if (end_sign != Sign::kNone) ++end;
      if (!next_is("%}", end)) continue;
      add_data(left_stripped(text_.substr(at_, at - at_), sign, false), at_);
      at_ = end + 2;
      return trim_right(end_sign, true);
    }
    if (at_ < text_.size()) throw error(tag, "{% raw %} has no {% endraw %}");
  }

  void read_tag(TokenKind begin, size_t tag) {
    line_begins_ = false;
    add(begin, tag);
    std::string closers;  // the brackets that are open
    while (at_ < text_.size()) {
      if (closers.empty() && take_tag_end(begin)) return;
      const size_t space = leading_space(text_.substr(at_));
      at_ += space;
      if (space == 0) take_token(closers);
    }
  }

  bool take_tag_end(TokenKind begin) {
    const bool prints = begin == TokenKind::kVariableBegin;
    Sign sign = sign_at(at_);
    if (prints && sign == Sign::kPlus) return false;
    const size_t end = sign == Sign::kNone ? at_ : at_ + 1;
    if (!next_is(prints ? "}}" : "%}", end)) return false;
    add(prints ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, at_);
    at_ = end + 2;
    trim_right(sign, !prints);
    return true;
  }

  void take_token(std::string& closers) {
    if (take_number() || take_name()) return;
    const char c = text_[at_];
    if (c == '"' || c == '\'') return take_string(c);
    for (const Operator& op : kOperators) {
      if (!next_is(op.text, at_)) continue;
      balance(c, closers);
      add(op.kind, at_);
      at_ += op.text.size();
      return;
    }
    const Decoded d = decode_at(text_, at_);
    throw error(at_, fmt::format("unexpected character '{}'", text_.substr(at_, d.bytes)));
  }

  void balance(char c, std::string& closers) {
    constexpr std::string_view kOpen = "([{";
    constexpr std::string_view kClose = ")]}";
    if (const size_t open = kOpen.find(c); open != std::string_view::npos) {
      closers += kClose[open];
    } else if (kClose.find(c) != std::string_view::npos) {
      if (closers.empty()) throw error(at_, fmt::format("'{}' closes nothing", c));
      if (closers.back() != c) {
        throw error(at_, fmt::format("unexpected '{}', expected '{}'", c, closers.back()));
      }
      closers.pop_back();
    }
  }

  bool take_number() {
    if (const auto end = end_of_float(text_, at_)) {
      add(TokenKind::kFloat, at_).floating = float_value(text_.substr(at_, *end - at_));
      at_ = *end;
      return true;
    }
    const auto end = end_of_integer(text_, at_);
    if (!end) return false;
    const std::string_view literal = text_.substr(at_, *end - at_);
    const std::optional<int64_t> value = integer_value(literal);
    if (!value) throw error(at_, fmt::format("the integer {} does not fit 64 bits", literal));
    add(TokenKind::kInteger, at_).integer = *value;
    at_ = *end;
    return true;
  }

  bool take_name() {
    size_t end = at_;
    while (end < text_.size()) {
      const Decoded d = decode_at(text_, end);
      if (end == at_ ? !is_name_start(d.value) : !is_name_part(d.value)) break;
      end += d.bytes;
    }
    if (end == at_) return false;
    add(TokenKind::kName, at_).text = text_.substr(at_, end - at_);
    at_ = end;
    return true;
  }

  void take_string(char quote) {
    const size_t begin = at_ + 1;
    size_t end = begin;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) throw error(at_, "a string has no closing quote");
    try {
      add(TokenKind::kString, at_).text = unescaped(text_.substr(begin, end - begin));
    } catch (const Failure& f) {
      throw error(at_, f.message);
    }
    at_ = end + 1;
  }

  Error error(size_t at, const std::string& message, std::string hint = {}) const {
    return source_.error(static_cast<Position>(at), message, std::move(hint));
  }

  const Source& source_;
  std::string_view text_;
  size_t at_ = 0;
  bool line_begins_ = true;  // what was read last ended in a line end
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(const Source& source) { return Lexer(source).run(); }

std::string describe(TokenKind kind) {
  for (const Operator& op : kOperators) {
    if (op.kind == kind) return fmt::format("'{}'", op.text);
  }
  switch (kind) {
    case TokenKind::kVariableBegin:
      return "'{{'";
    case TokenKind::kVariableEnd:
      return "end of the tag '}}'";
    case TokenKind::kBlockBegin:
      return "'{%'";
    case TokenKind::kBlockEnd:
      return "end of the tag '%}'";
    case TokenKind::kName:
      return "name";
    case TokenKind::kString:
      return "string";
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return "number";
    case TokenKind::kEnd:
      return "end of the template";
    default:
      return "text";
  }
}

std::string describe(const Token& token) {
  if (token.kind == TokenKind::kName) return fmt::format("name '{}'", token.text);
  return describe(token.kind);
}

}  // namespace fathom::text::jinja
