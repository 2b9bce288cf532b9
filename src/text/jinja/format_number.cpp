// Numbers as digits, for both formatting mini-languages.
#include <charconv>
#include <cmath>
#include <limits>

#include "text/jinja/format.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

std::string sign_of(bool negative, char sign) {
  if (negative) return "-";
  return sign == '-' ? "" : std::string(1, sign);
}

int base_of(char type) {
  switch (type) {
    case 'b':
      return 2;
    case 'o':
      return 8;
    case 'x':
    case 'X':
      return 16;
    default:
      return 10;
  }
}

bool is_upper_type(char type) { return type >= 'A' && type <= 'Z'; }

}  // namespace

NumberText integer_text(Runtime& run, int64_t value, const NumberStyle& style) {
  const bool negative = value < 0;
  const uint64_t magnitude =
      negative ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  const int base = base_of(style.type);
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), magnitude, base).ptr;
  std::string digits(buffer, end);
  if (style.precision > static_cast<int>(digits.size())) {
    run.check_text(static_cast<size_t>(style.precision));
    digits.insert(0, static_cast<size_t>(style.precision) - digits.size(), '0');
  }
  if (style.grouping != 0) digits = grouped(digits, style.grouping, base == 10 ? 3 : 4);
  std::string prefix;
  if (style.alternate && base != 10) prefix = std::string("0") + style.type;
  if (style.type == 'X') digits = to_upper(digits);
  return {sign_of(negative, style.sign), prefix, digits};
}

NumberText float_text(Runtime& run, double value, const NumberStyle& style) {
  const bool negative = std::signbit(value) && !std::isnan(value);
  NumberText out{sign_of(negative, style.sign), "", ""};
  if (!std::isfinite(value)) {
    const bool upper = is_upper_type(style.type);
    out.digits = std::isnan(value) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf");
    return out;
  }
  constexpr int kDefaultPrecision = 6;
  constexpr size_t kLongestWhole = 320;  // digits of the largest double
  const int precision = style.precision < 0 ? kDefaultPrecision : style.precision;
  run.check_text(static_cast<size_t>(precision) + kLongestWhole);
  const std::string format = std::string(style.alternate ? "%#.*" : "%.*") + style.type;
  std::string digits(static_cast<size_t>(precision) + kLongestWhole, '\0');
  const int length =
      std::snprintf(digits.data(), digits.size(), format.c_str(), precision, std::abs(value));
  digits.resize(static_cast<size_t>(length));
  out.digits = style.grouping != 0 ? grouped(digits, style.grouping, 3) : digits;
  return out;
}

std::string grouped(std::string_view digits, char separator, size_t group) {
  size_t whole = 0;
  while (whole < digits.size() && std::isalnum(static_cast<unsigned char>(digits[whole])) &&
         digits[whole] != 'e' && digits[whole] != 'E') {
    ++whole;
  }
  if (group == 4) whole = digits.size();  // hexadecimal digits include e
  std::string out;
  for (size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % group == 0) out += separator;
    out += digits[i];
  }
  return out.append(digits.substr(whole));
}

std::optional<int> format_size(std::string_view format, size_t& at) {
  if (at >= format.size() || format[at] < '0' || format[at] > '9') return std::nullopt;
  int value = 0;
  const char* end = format.data() + format.size();
  const auto result = std::from_chars(format.data() + at, end, value);
  if (result.ec != std::errc{}) throw failure("a number in the format is too big");
  at = static_cast<size_t>(result.ptr - format.data());
  return value;
}

}  // namespace fathom::text::jinja
