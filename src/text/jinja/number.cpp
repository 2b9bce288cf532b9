#include "text/jinja/number.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <string>

#include "text/jinja/source.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

// The digits without the underscores; nothing where one does not stand between two digits.
std::optional<std::string> without_underscores(std::string_view digits) {
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (digits[i] != '_') {
      out += digits[i];
      continue;
    }
    const bool between = i > 0 && i + 1 < digits.size() &&
                         std::isalnum(static_cast<unsigned char>(digits[i - 1])) &&
                         std::isalnum(static_cast<unsigned char>(digits[i + 1]));
    if (!between) return std::nullopt;
  }
  return out;
}

// Takes "0x" and its like off the digits, if the base allows it; returns the base that they are in.
int take_prefix(std::string_view& digits, int base) {
  if (digits.size() < 2 || digits[0] != '0') return base == 0 ? 10 : base;
  const char letter = static_cast<char>(digits[1] | 0x20);
  const int named = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
  if (named == 0 || (base != 0 && base != named)) return base == 0 ? 10 : base;
  digits.remove_prefix(2);
  if (digits.starts_with('_')) digits.remove_prefix(1);
  return named;
}

bool same_letters(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

std::optional<double> parsed_special(std::string_view text) {
  if (same_letters(text, "inf") || same_letters(text, "infinity")) {
    return std::numeric_limits<double>::infinity();
  }
  if (same_letters(text, "nan")) return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

double parsed_digits(const char* digits) {
  double value = 0;
  std::from_chars(digits, digits + std::char_traits<char>::length(digits), value);
  return value;
}

}  // namespace

std::optional<int64_t> parsed_integer(std::string_view text, int base) {
  std::string_view digits = stripped(text);
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  const bool guessed = base == 0;
  base = take_prefix(digits, base);
  const std::optional<std::string> plain = without_underscores(digits);
  if (!plain || plain->empty() || plain->front() == '-') return std::nullopt;
  const std::string signed_digits = (negative ? "-" : "") + *plain;
  int64_t value = 0;
  const char* end = signed_digits.data() + signed_digits.size();
  const auto result = std::from_chars(signed_digits.data(), end, value, base);
  if (result.ptr != end || result.ec == std::errc::invalid_argument) return std::nullopt;
  if (result.ec != std::errc{}) throw failure("an integer does not fit 64 bits");
  // With a guessed base, "012" is no number, but "00" is one.
  if (guessed && base == 10 && plain->front() == '0' && value != 0) return std::nullopt;
  return value;
}

std::optional<double> parsed_float(std::string_view text) {
  std::string_view digits = stripped(text);
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  const double sign = negative ? -1 : 1;
  if (const auto special = parsed_special(digits)) return std::copysign(*special, sign);
  const std::optional<std::string> plain = without_underscores(digits);
  if (!plain || plain->empty()) return std::nullopt;
  const char first = plain->front();
  if (first != '.' && (first < '0' || first > '9')) return std::nullopt;  // "-", "inf" again
  double value = 0;
  const char* end = plain->data() + plain->size();
  const auto result = std::from_chars(plain->data(), end, value);
  if (result.ptr != end || result.ec == std::errc::invalid_argument) return std::nullopt;
  if (result.ec != std::errc{}) {
    const bool tiny =
        plain->find("e-") != std::string::npos || plain->find("E-") != std::string::npos;
    value = tiny ? 0.0 : std::numeric_limits<double>::infinity();
  }
  return std::copysign(value, sign);
}

int64_t rounded_integer(int64_t value, int64_t digits) {
  constexpr int64_t kMostDigits = 18;
  if (digits >= 0) return value;
  if (digits < -kMostDigits) return 0;
  int64_t unit = 1;
  for (int64_t i = digits; i < 0; ++i) unit *= 10;
  const int64_t rest = value % unit;
  const int64_t down = value - rest;
  const int64_t size = std::abs(rest);
  const bool odd = (value / unit) % 2 != 0;
  const bool away = size > unit - size || (size == unit - size && odd);
  if (!away) return down;
  int64_t result;
  if (__builtin_add_overflow(down, value < 0 ? -unit : unit, &result)) {
    throw failure("a rounded integer does not fit 64 bits");
  }
  return result;
}

double rounded_float(double value, int64_t digits) {
  constexpr int64_t kMostDigits = 323;  // more than a double has behind the point
  if (!std::isfinite(value) || digits > kMostDigits || value == 0) return value;
  char buffer[700];
  if (digits >= 0) {
    std::snprintf(buffer, sizeof(buffer), "%.*f", static_cast<int>(digits), std::abs(value));
    return std::copysign(parsed_digits(buffer), value);
  }
  // In front of the point: keep that many significant digits.
  const double size = std::abs(value);
  const int whole = size < 1 ? 0 : static_cast<int>(std::floor(std::log10(size))) + 1;
  const int64_t kept = whole + digits;
  if (kept < 0) return std::copysign(0.0, value);
  if (kept == 0) {
    const double half = 5 * std::pow(10.0, whole - 1);
    return std::copysign(size > half ? 10 * (half / 5) : 0.0, value);
  }
  std::snprintf(buffer, sizeof(buffer), "%.*e", static_cast<int>(kept - 1), size);
  return std::copysign(parsed_digits(buffer), value);
}

}  // namespace fathom::text::jinja
