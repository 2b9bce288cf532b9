// Filters on numbers.
#include <charconv>
#include <cmath>
#include <limits>

#include "text/jinja/builtins.h"
#include "text/jinja/number.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"

namespace fathom::text::jinja {
namespace {

Value absolute(Runtime&, const Value& value, const Bound&) {
  if (value.is_undefined()) fail_undefined(value);
  if (value.kind() == Kind::kFloat) return std::abs(value.floating());
  if (!value.is_integral()) throw failure("bad operand type for abs(): '{}'", type_name(value));
  return value.integer() < 0 ? negated(value) : Value(value.integer());
}

int64_t truncated(double value) {
  if (std::isinf(value)) throw failure("cannot convert float infinity to integer");
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (std::abs(value) >= kLimit) throw failure("{} does not fit 64 bits", float_repr(value));
  return static_cast<int64_t>(value);
}

// What Python's int() makes of a value; nothing where it raises TypeError or ValueError.
std::optional<int64_t> as_integer(const Value& value, int base) {
  if (value.is_text()) return parsed_integer(value.bytes(), base);
  if (value.is_integral()) return value.integer();
  if (value.kind() != Kind::kFloat || std::isnan(value.floating())) return std::nullopt;
  return truncated(value.floating());
}

std::optional<double> as_float(const Value& value) {
  if (value.is_text()) return parsed_float(value.bytes());
  if (value.is_number()) return value.number();
  return std::nullopt;
}

Value integer(Runtime& run, const Value& value, const Bound& args) {
  if (value.is_undefined()) fail_undefined(value);
  const int64_t base = args.integer(1, 10);
  if (value.is_text()) {
    if (base != 0 && (base < 2 || base > 36)) {
      throw failure("int() base must be >= 2 and <= 36, or 0");
    }
    run.scan(value.bytes().size());
  }
  if (const auto number = as_integer(value, static_cast<int>(base))) return *number;
  if (const auto number = as_float(value); number && !std::isnan(*number))
    return truncated(*number);
  return args.given(0) ? args[0] : Value(0);
}

Value floating(Runtime& run, const Value& value, const Bound& args) {
  if (value.is_undefined()) fail_undefined(value);
  if (value.is_text()) run.scan(value.bytes().size());
  if (const auto number = as_float(value)) return *number;
  return args.given(0) ? args[0] : Value(0.0);
}

Value rounded(Runtime& run, const Value& value, const Bound& args) {
  const std::string method = args.given(1) ? to_text(run, args[1]) : "common";
  if (method != "common" && method != "ceil" && method != "floor") {
    throw failure("method must be common, ceil or floor");
  }
  if (value.is_undefined()) fail_undefined(value);
  if (!value.is_number())
    throw failure("type {} doesn't define __round__ method", type_name(value));
  const int64_t precision = args.integer(0, 0);
  if (method == "common") {
    return value.is_integral() ? Value(rounded_integer(value.integer(), precision))
                               : Value(rounded_float(value.floating(), precision));
  }
  const Value power = arithmetic(run, ArithmeticOp::kPow, 10, precision);
  const Value scaled = arithmetic(run, ArithmeticOp::kMul, value, power);
  const double whole = method == "ceil" ? std::ceil(scaled.number()) : std::floor(scaled.number());
  const Value kept = scaled.is_integral() ? scaled : Value(truncated(whole));
  return arithmetic(run, ArithmeticOp::kDiv, kept, power);
}

Value filesizeformat(Runtime& run, const Value& value, const Bound& args) {
  const std::optional<double> bytes = as_float(value);
  if (!bytes) throw failure("filesizeformat() needs a number, not {}", type_name(value));
  const bool binary = args.truth(run, 0, false);
  const double base = binary ? 1024 : 1000;
  if (*bytes == 1) return run.text("1 Byte");
  if (*bytes < base) return run.text(fmt::format("{} Bytes", truncated(*bytes)));
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  for (size_t i = 0; i < kPrefixes.size(); ++i) {
    unit *= base;
    if (*bytes < unit || i + 1 == kPrefixes.size()) {
      const char prefix = binary ? static_cast<char>(std::toupper(kPrefixes[i])) : kPrefixes[i];
      return run.text(
          fmt::format("{:.1f} {}{}", base * *bytes / unit, prefix, binary ? "iB" : "B"));
    }
  }
  return {};
}

constexpr Builtin kFilters[] = {
    {"abs", "", absolute},
    {"filesizeformat", "binary?", filesizeformat},
    {"float", "default?", floating},
    {"int", "default? base?", integer},
    {"round", "precision? method?", rounded},
};

}  // namespace

std::span<const Builtin> number_filters() { return kFilters; }

}  // namespace fathom::text::jinja
