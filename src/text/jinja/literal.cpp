#include "text/jinja/literal.h"

#include <charconv>
#include <limits>

#include "text/jinja/source.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// The value of a digit in bases up to 16; 16 where it is none.
unsigned digit_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? static_cast<unsigned>(l - 'a') + 10 : 16;
}

bool digit_at(std::string_view text, size_t at, unsigned base = 10) {
  return at < text.size() && digit_value(text[at]) < base;
}

// Digits with single underscores between them; `at` itself where there are none.
size_t end_of_digits(std::string_view text, size_t at, unsigned base = 10) {
  if (!digit_at(text, at, base)) return at;
  for (;;) {
    while (digit_at(text, at, base)) ++at;
    if (at >= text.size() || text[at] != '_' || !digit_at(text, at + 1, base)) return at;
    ++at;
  }
}

// "e-12" at `at`; `at` itself where there is no exponent.
size_t end_of_exponent(std::string_view text, size_t at) {
  if (at >= text.size() || lower(text[at]) != 'e') return at;
  size_t digits = at + 1;
  if (digits < text.size() && (text[digits] == '+' || text[digits] == '-')) ++digits;
  const size_t end = end_of_digits(text, digits);
  return end == digits ? at : end;
}

unsigned base_of(std::string_view text, size_t at) {
  if (at + 1 >= text.size() || text[at] != '0') return 10;
  switch (lower(text[at + 1])) {
    case 'b':
      return 2;
    case 'o':
      return 8;
    case 'x':
      return 16;
    default:
      return 10;
  }
}

std::string without_underscores(std::string_view literal) {
  std::string out;
  for (const char c : literal) {
    if (c != '_') out += c;
  }
  return out;
}

// Decodes the escapes of one string body, front to back.
class Unescaper {
 public:
  explicit Unescaper(std::string_view body) : body_(body) {}

  std::string run() {
    while (at_ < body_.size()) {
      const char c = body_[at_++];
      if (c == '\\') {
        escape();
      } else {
        out_ += c;
      }
    }
    return std::move(out_);
  }

 private:
  void escape() {
    if (at_ == body_.size()) throw failure("a string ends in a backslash");
    const char c = body_[at_];
    if ((c & 0x80) != 0) return escape_non_ascii();
    if (digit_at(body_, at_, 8)) return octal();
    ++at_;
    constexpr std::string_view kNames = "\\'\"abfnrtv";
    constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
    const size_t simple = kNames.find(c);
    if (simple != std::string_view::npos) {
      out_ += kMeanings[simple];
    } else if (c == 'x' || c == 'u' || c == 'U') {
      hexadecimal(c);
    } else if (c == 'N') {
      throw failure("characters by name (\\N{{...}}) are not offered: write the character itself");
    } else if (c != '\n') {  // an escaped line end is none
      out_ += '\\';
      out_ += c;
    }
  }

  // Jinja writes characters beyond ASCII as escapes before it decodes them, so that a backslash in
  // front of one makes it a plain backslash and the escape's letters.
  void escape_non_ascii() {
    const Decoded d = decode_at(body_, at_);
    at_ += d.bytes;
    const auto value = static_cast<uint32_t>(d.value);
    out_ += '\\';
    out_ += value <= 0xFF     ? fmt::format("x{:02x}", value)
            : value <= 0xFFFF ? fmt::format("u{:04x}", value)
                              : fmt::format("U{:08x}", value);
  }

  void octal() {
    char32_t value = 0;
    for (int i = 0; i < 3 && digit_at(body_, at_, 8); ++i) {
      value = value * 8 + digit_value(body_[at_++]);
    }
    append_code_point(out_, value);
  }

  void hexadecimal(char letter) {
    const int digits = letter == 'x' ? 2 : letter == 'u' ? 4 : 8;
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      if (!digit_at(body_, at_, 16)) {
        throw failure("a \\{} escape needs {} hexadecimal digits", letter, digits);
      }
      value = value * 16 + digit_value(body_[at_++]);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      throw failure("\\{}{:0{}x} is not a character", letter, static_cast<uint32_t>(value), digits);
    }
    append_code_point(out_, value);
  }

  std::string_view body_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::optional<size_t> end_of_float(std::string_view text, size_t at) {
  if (at > 0 && text[at - 1] == '.') return std::nullopt;  // x.1.5 is two subscripts
  const size_t whole = end_of_digits(text, at);
  if (whole == at) return std::nullopt;
  size_t end = whole;
  if (whole < text.size() && text[whole] == '.') {
    const size_t fraction = end_of_digits(text, whole + 1);
    if (fraction > whole + 1) end = fraction;
  }
  end = end_of_exponent(text, end);
  return end == whole ? std::nullopt : std::optional(end);
}

std::optional<size_t> end_of_integer(std::string_view text, size_t at) {
  if (!digit_at(text, at)) return std::nullopt;
  if (const unsigned base = base_of(text, at); base != 10) {
    const size_t first = at + 2 < text.size() && text[at + 2] == '_' ? at + 3 : at + 2;
    const size_t end = end_of_digits(text, first, base);
    if (end > first) return end;
  }
  if (text[at] != '0') return end_of_digits(text, at);
  return end_of_digits(text, at, 1);  // zeros only: base 1 has no other digit
}

std::optional<int64_t> integer_value(std::string_view literal) {
  const unsigned base = base_of(literal, 0);
  const std::string digits = without_underscores(base == 10 ? literal : literal.substr(2));
  int64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value, static_cast<int>(base));
  if (result.ec != std::errc{}) return std::nullopt;
  return value;
}

double float_value(std::string_view literal) {
  const std::string digits = without_underscores(literal);
  double value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec != std::errc::result_out_of_range) return value;
  return digits.find("e-") == std::string::npos && digits.find("E-") == std::string::npos
             ? std::numeric_limits<double>::infinity()
             : 0.0;
}

std::string unescaped(std::string_view body) { return Unescaper(body).run(); }

}  // namespace fathom::text::jinja
