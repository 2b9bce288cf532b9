// + - * / // % ** with Python's rules: floor division, the sign of %, texts and lists as operands.
#include <cmath>
#include <limits>

#include "text/jinja/format.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"

namespace fathom::text::jinja {
namespace {

constexpr int64_t kExactInDouble = int64_t{1} << 53;

std::string_view symbol(ArithmeticOp op) {
  switch (op) {
    case ArithmeticOp::kAdd:
      return "+";
    case ArithmeticOp::kSub:
      return "-";
    case ArithmeticOp::kMul:
      return "*";
    case ArithmeticOp::kDiv:
      return "/";
    case ArithmeticOp::kFloorDiv:
      return "//";
    case ArithmeticOp::kMod:
      return "%";
    case ArithmeticOp::kPow:
      return "** or pow()";
  }
  return "";
}

[[noreturn]] void fail_operands(ArithmeticOp op, const Value& a, const Value& b) {
  throw failure("unsupported operand type(s) for {}: '{}' and '{}'", symbol(op), type_name(a),
                type_name(b));
}

[[noreturn]] void fail_overflow() {
  throw failure("the result of integer arithmetic does not fit 64 bits");
}

int64_t multiplied(int64_t a, int64_t b) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) fail_overflow();
  return product;
}

int64_t floor_divided(int64_t a, int64_t b) {
  if (b == 0) throw failure("integer division or modulo by zero");
  if (b == -1) return multiplied(a, -1);
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

int64_t modulo(int64_t a, int64_t b) {
  if (b == 0) throw failure("integer modulo by zero");
  if (b == -1) return 0;
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double true_quotient(int64_t a, int64_t b) {
  if (b == 0) throw failure("division by zero");
  const bool exact = std::abs(a / 2) < kExactInDouble / 2 && std::abs(b / 2) < kExactInDouble / 2;
  if (exact) return static_cast<double>(a) / static_cast<double>(b);
  return static_cast<double>(static_cast<long double>(a) / static_cast<long double>(b));
}

// The result and its remainder, as Python's float divmod rounds them.
struct FloatDivision {
  double quotient;
  double rest;
};
FloatDivision floor_divided(double a, double b, std::string_view what) {
  if (b == 0) throw failure("float {}", what);
  double rest = std::fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest == 0) {
    rest = std::copysign(0.0, b);
  } else if ((b < 0) != (rest < 0)) {
    rest += b;
    quotient -= 1;
  }
  if (quotient == 0) return {std::copysign(0.0, a / b), rest};
  double floored = std::floor(quotient);
  if (quotient - floored > 0.5) floored += 1;
  return {floored, rest};
}

double float_power(double a, double b) {
  if (a == 0 && b < 0) throw failure("0.0 cannot be raised to a negative power");
  if (a < 0 && std::isfinite(a) && std::isfinite(b) && b != std::floor(b)) {
    throw failure("a negative number to a fractional power is a complex number");
  }
  const double power = std::pow(a, b);
  if (std::isinf(power) && std::isfinite(a) && std::isfinite(b)) {
    throw failure("the result of ** is too large for a float");
  }
  return power;
}

Value integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0) return float_power(static_cast<double>(base), static_cast<double>(exponent));
  int64_t result = 1;
  while (exponent > 0) {
    if (exponent % 2 == 1) result = multiplied(result, base);
    exponent /= 2;
    if (exponent > 0) base = multiplied(base, base);
  }
  return result;
}

Value integer_arithmetic(ArithmeticOp op, int64_t a, int64_t b) {
  int64_t result = 0;
  switch (op) {
    case ArithmeticOp::kAdd:
      if (__builtin_add_overflow(a, b, &result)) fail_overflow();
      return result;
    case ArithmeticOp::kSub:
      if (__builtin_sub_overflow(a, b, &result)) fail_overflow();
      return result;
    case ArithmeticOp::kMul:
      return multiplied(a, b);
    case ArithmeticOp::kDiv:
      return true_quotient(a, b);
    case ArithmeticOp::kFloorDiv:
      return floor_divided(a, b);
    case ArithmeticOp::kMod:
      return modulo(a, b);
    case ArithmeticOp::kPow:
      return integer_power(a, b);
  }
  return result;
}

Value float_arithmetic(ArithmeticOp op, double a, double b) {
  switch (op) {
    case ArithmeticOp::kAdd:
      return a + b;
    case ArithmeticOp::kSub:
      return a - b;
    case ArithmeticOp::kMul:
      return a * b;
    case ArithmeticOp::kDiv:
      if (b == 0) throw failure("float division by zero");
      return a / b;
    case ArithmeticOp::kFloorDiv:
      return floor_divided(a, b, "floor division by zero").quotient;
    case ArithmeticOp::kMod:
      return floor_divided(a, b, "modulo").rest;
    case ArithmeticOp::kPow:
      return float_power(a, b);
  }
  return 0.0;
}

// Markup escapes what is joined to it.
Value joined_texts(Runtime& run, const Value& a, const Value& b) {
  TextBuilder out(run);
  const bool markup = a.is_markup() || b.is_markup();
  out.append(markup ? escaped_text(run, a) : a.bytes());
  out.append(markup ? escaped_text(run, b) : b.bytes());
  return run.text(out.take(), markup ? Escaping::kMarkup : Escaping::kPlain);
}

Value joined_items(Runtime& run, const Value& a, const Value& b) {
  run.check_items(a.items().values.size() + b.items().values.size());
  std::vector<Value> values = a.items().values;
  values.insert(values.end(), b.items().values.begin(), b.items().values.end());
  run.step(values.size());
  return a.kind() == Kind::kList ? run.list(std::move(values)) : run.tuple(std::move(values));
}

Value added(Runtime& run, const Value& a, const Value& b) {
  if (a.is_text() && b.is_text()) return joined_texts(run, a, b);
  if (a.is_items() && a.kind() == b.kind()) return joined_items(run, a, b);
  if (a.is_text() || a.is_items()) {
    throw Failure{fmt::format("can only concatenate {0} (not \"{1}\") to {0}",
                              a.is_markup() ? "str" : type_name(a), type_name(b)),
                  a.is_text() ? "the operator ~ joins values of any type as text" : ""};
  }
  fail_operands(ArithmeticOp::kAdd, a, b);
}

Value repeated_text(Runtime& run, const Value& text, int64_t times) {
  const std::string& bytes = text.bytes();
  const uint64_t count = times < 0 ? 0 : static_cast<uint64_t>(times);
  uint64_t total = 0;
  const bool overflows = __builtin_mul_overflow(count, bytes.size(), &total);
  run.check_text(overflows ? std::numeric_limits<size_t>::max() : total);
  std::string out;
  out.reserve(total);
  while (out.size() < total) out += bytes;
  return run.text_like(text, std::move(out));
}

Value repeated_items(Runtime& run, const Value& items, int64_t times) {
  const std::vector<Value>& values = items.items().values;
  const uint64_t count = times < 0 ? 0 : static_cast<uint64_t>(times);
  uint64_t total = 0;
  if (__builtin_mul_overflow(count, values.size(), &total) || total > run.text_limit()) {
    throw failure("a list of {} times {} values is too long", count, values.size());
  }
  run.check_items(total);
  run.step(total);
  std::vector<Value> out;
  out.reserve(total);
  while (out.size() < total) out.insert(out.end(), values.begin(), values.end());
  return items.kind() == Kind::kList ? run.list(std::move(out)) : run.tuple(std::move(out));
}

Value multiplied_sequence(Runtime& run, const Value& a, const Value& b) {
  const bool sequence_first = a.is_text() || a.is_items();
  const Value& sequence = sequence_first ? a : b;
  const Value& times = sequence_first ? b : a;
  if (!sequence.is_text() && !sequence.is_items()) fail_operands(ArithmeticOp::kMul, a, b);
  if (!times.is_integral()) {
    throw failure("can't multiply sequence by non-int of type '{}'", type_name(times));
  }
  return sequence.is_text() ? repeated_text(run, sequence, times.integer())
                            : repeated_items(run, sequence, times.integer());
}

}  // namespace

Value arithmetic(Runtime& run, ArithmeticOp op, const Value& a, const Value& b) {
  if (op == ArithmeticOp::kMod && a.is_text()) return formatted_with_percent(run, a, b);
  if (a.is_undefined()) fail_undefined(a);
  if (b.is_undefined()) fail_undefined(b);
  if (a.is_integral() && b.is_integral()) return integer_arithmetic(op, a.integer(), b.integer());
  if (a.is_number() && b.is_number()) return float_arithmetic(op, a.number(), b.number());
  if (op == ArithmeticOp::kAdd) return added(run, a, b);
  if (op == ArithmeticOp::kMul) return multiplied_sequence(run, a, b);
  fail_operands(op, a, b);
}

Value negated(const Value& value) {
  if (value.is_undefined()) fail_undefined(value);
  if (value.is_integral()) return integer_arithmetic(ArithmeticOp::kSub, 0, value.integer());
  if (value.kind() == Kind::kFloat) return -value.floating();
  throw failure("bad operand type for unary -: '{}'", type_name(value));
}

Value unchanged_number(const Value& value) {
  if (value.is_undefined()) fail_undefined(value);
  if (value.is_integral()) return value.integer();
  if (value.kind() == Kind::kFloat) return value;
  throw failure("bad operand type for unary +: '{}'", type_name(value));
}

}  // namespace fathom::text::jinja
