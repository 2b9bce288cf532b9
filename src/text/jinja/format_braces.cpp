// "{} {0.name!r:>10}".format(values)
#include <algorithm>

#include "text/jinja/format.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"
#include "text/jinja/text.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

// [[fill]align][sign][#][0][width][grouping][.precision][type]
struct Spec {
  std::string fill = " ";
  char align = 0;
  bool has_fill = false;
  bool zeros = false;
  bool has_sign = false;
  NumberStyle style;
  int width = 0;
  std::optional<int> precision;
  char type = 0;
};

bool is_align(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

bool take(std::string_view text, size_t& at, char c) {
  if (at >= text.size() || text[at] != c) return false;
  ++at;
  return true;
}

void read_alignment(std::string_view text, size_t& at, Spec& spec) {
  if (text.empty()) return;
  const size_t first = decode_at(text, 0).bytes;
  if (first < text.size() && is_align(text[first])) {
    spec.fill = text.substr(0, first);
    spec.has_fill = true;
    spec.align = text[first];
    at = first + 1;
  } else if (is_align(text[0])) {
    spec.align = text[0];
    at = 1;
  }
}

Spec parsed(std::string_view text) {
  Spec spec;
  size_t at = 0;
  read_alignment(text, at, spec);
  for (const char sign : {'+', '-', ' '}) {
    if (spec.has_sign || !take(text, at, sign)) continue;
    spec.has_sign = true;
    spec.style.sign = sign;
  }
  spec.style.alternate = take(text, at, '#');
  spec.zeros = take(text, at, '0');
  if (spec.zeros && !spec.has_fill) spec.fill.assign(1, '0');
  spec.width = format_size(text, at).value_or(0);
  if (take(text, at, ',')) spec.style.grouping = ',';
  if (take(text, at, '_')) spec.style.grouping = '_';
  if (take(text, at, '.')) {
    spec.precision = format_size(text, at);
    if (!spec.precision) throw failure("Format specifier missing precision");
  }
  if (at < text.size()) spec.type = text[at++];
  if (at < text.size()) throw failure("Invalid format specifier");
  return spec;
}

[[noreturn]] void fail_type(char type, const Value& value) {
  throw failure("Unknown format code '{}' for object of type '{}'", type, type_name(value));
}

std::string aligned(Runtime& run, const Spec& spec, std::string_view text, char own_align) {
  const char align = spec.align != 0 ? spec.align : own_align;
  const auto length = static_cast<int64_t>(count_code_points(text));
  if (align == '^') {  // unlike center(), the odd blank goes to the right
    const int64_t room = std::max<int64_t>(spec.width - length, 0);
    const std::string left = padded(run, text, length + room / 2, Sides::kLeft, spec.fill);
    return padded(run, left, spec.width, Sides::kRight, spec.fill);
  }
  return padded(run, text, spec.width, align == '<' ? Sides::kRight : Sides::kLeft, spec.fill);
}

// Grouped digits with zeros in front that are grouped too; a separator never comes first.
std::string zero_filled(Runtime& run, const Spec& spec, const std::string& digits, int64_t width) {
  const auto least = static_cast<size_t>(std::max<int64_t>(width, 0));
  run.check_text(least + digits.size());
  const size_t group = spec.type != 0 && std::string_view("boxX").find(spec.type) < 4 ? 4 : 3;
  std::string plain = digits;
  std::erase(plain, spec.style.grouping);
  const size_t whole =
      group == 4 ? plain.size() : std::min(plain.find_first_of(".e"), plain.size());
  const size_t tail = plain.size() - whole;
  size_t filled = whole;
  while (filled + (filled - 1) / group + tail < least) ++filled;
  plain.insert(0, filled - whole, '0');
  return grouped(plain, spec.style.grouping, group);
}

std::string aligned_number(Runtime& run, const Spec& spec, const NumberText& number) {
  const std::string start = number.sign + number.prefix;
  const bool behind_sign = spec.align == '=' || (spec.align == 0 && spec.zeros);
  if (!behind_sign) return aligned(run, spec, start + number.digits, '>');
  const int64_t width = spec.width - static_cast<int64_t>(start.size());
  if (spec.fill != "0" || spec.style.grouping == 0) {
    return start + padded(run, number.digits, width, Sides::kLeft, spec.fill);
  }
  return start + zero_filled(run, spec, number.digits, width);
}

std::string formatted_text(Runtime& run, const Value& value, const Spec& spec) {
  if (spec.type != 0 && spec.type != 's') fail_type(spec.type, value);
  if (spec.has_sign) throw failure("Sign not allowed in string format specifier");
  if (spec.align == '=') throw failure("'=' alignment not allowed in string format specifier");
  std::string_view text = value.bytes();
  if (spec.precision) {
    text = text.substr(0, code_point_offset(text, static_cast<size_t>(*spec.precision)));
  }
  return aligned(run, spec, text, '<');
}

// Drops the zeros at the end of "1.500e+10"'s fraction.
std::string without_trailing_zeros(const std::string& scientific) {
  const size_t e = scientific.find('e');
  size_t end = e;
  if (scientific.find('.') < e) {
    while (scientific[end - 1] == '0') --end;
    if (scientific[end - 1] == '.') --end;
  }
  return scientific.substr(0, end) + scientific.substr(e);
}

// A float without a type looks like its repr; with a precision like type g, but with a digit behind
// the point.
NumberText plain_float(Runtime& run, double value, const Spec& spec) {
  NumberStyle style = spec.style;
  style.grouping = 0;
  style.type = 'e';
  style.precision = std::max(spec.precision.value_or(1), 1) - 1;
  NumberText out = float_text(run, value, style);
  const size_t e = out.digits.find('e');
  if (e == std::string::npos) return out;  // inf or nan
  const int exponent = std::atoi(out.digits.c_str() + e + 1);
  if (!spec.precision) {
    out.digits = float_repr(std::abs(value));
  } else if (exponent < -4 || exponent >= style.precision) {
    out.digits = without_trailing_zeros(out.digits);
  } else {
    style.type = 'g';
    style.precision = std::max(*spec.precision, 1);
    out = float_text(run, value, style);
    if (out.digits.find('.') == std::string::npos) out.digits += ".0";
  }
  if (spec.style.grouping != 0) out.digits = grouped(out.digits, spec.style.grouping, 3);
  return out;
}

std::string formatted_float(Runtime& run, double value, const Spec& spec) {
  NumberStyle style = spec.style;
  style.precision = spec.precision.value_or(-1);
  if (spec.type == 0) return aligned_number(run, spec, plain_float(run, value, spec));
  style.type = spec.type == 'n' ? 'g' : spec.type == '%' ? 'f' : spec.type;
  NumberText number = float_text(run, spec.type == '%' ? value * 100 : value, style);
  if (spec.type == '%') number.digits += '%';
  return aligned_number(run, spec, number);
}

std::string formatted_integer(Runtime& run, const Value& value, const Spec& spec) {
  if (spec.precision) throw failure("Precision not allowed in integer format specifier");
  const int64_t number = value.integer();
  if (spec.type == 'c') {
    if (number < 0 || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF)) {
      throw failure("%c arg not in range(0x110000)");
    }
    std::string character;
    append_code_point(character, static_cast<char32_t>(number));
    return aligned(run, spec, character, '<');
  }
  NumberStyle style = spec.style;
  style.type = spec.type == 0 || spec.type == 'n' ? 'd' : spec.type;
  return aligned_number(run, spec, integer_text(run, number, style));
}

// format(value, spec)
std::string formatted(Runtime& run, const Value& value, std::string_view text) {
  if (text.empty()) return to_text(run, value);
  if (!value.is_text() && !value.is_number()) {
    throw failure("unsupported format string passed to {}.__format__", type_name(value));
  }
  const Spec spec = parsed(text);
  if (value.is_text()) return formatted_text(run, value, spec);
  constexpr std::string_view kFloatTypes = "eEfFgG%";
  constexpr std::string_view kIntegerTypes = "bcdoxXn";
  const bool wants_float = spec.type != 0 && kFloatTypes.find(spec.type) != std::string_view::npos;
  if (value.is_integral() && !wants_float) {
    if (spec.type != 0 && kIntegerTypes.find(spec.type) == std::string_view::npos) {
      fail_type(spec.type, value);
    }
    return formatted_integer(run, value, spec);
  }
  if (spec.type != 0 && spec.type != 'n' && !wants_float) fail_type(spec.type, value);
  return formatted_float(run, value.number(), spec);
}

class BraceFormatter {
 public:
  BraceFormatter(Runtime& run, const Arguments& arguments, bool markup)
      : run_(run), arguments_(arguments), markup_(markup) {}

  std::string expanded(std::string_view format, int levels) {
    if (levels == 0) throw failure("Max string recursion exceeded");
    TextBuilder out(run_);
    for (size_t at = 0; at < format.size();) {
      const size_t brace = std::min(format.find_first_of("{}", at), format.size());
      out.append(format.substr(at, brace - at));
      at = brace;
      if (at == format.size()) break;
      run_.step();
      if (format.substr(at, 2) == "{{" || format.substr(at, 2) == "}}") {
        out.append(format.substr(at, 1));
        at += 2;
      } else if (format[at] == '}') {
        throw failure("Single '}}' encountered in format string");
      } else {
        const std::string_view field = field_at(format, at);
        out.append(replacement(field, levels));
        at += field.size() + 2;
      }
    }
    return out.take();
  }

 private:
  // What stands between the braces at `at`.
  static std::string_view field_at(std::string_view format, size_t at) {
    int open = 0;
    for (size_t end = at; end < format.size(); ++end) {
      open += format[end] == '{' ? 1 : format[end] == '}' ? -1 : 0;
      if (open == 0) return format.substr(at + 1, end - at - 1);
    }
    throw failure("expected '}}' before end of string");
  }

  std::string replacement(std::string_view field, int levels) {
    const size_t name_end = std::min(end_of_name(field), field.size());
    const std::string_view name = field.substr(0, name_end);
    std::string_view rest = field.substr(name_end);
    Value value = field_value(name);
    if (rest.starts_with('!')) {
      if (rest.size() < 2) throw failure("end of string while looking for conversion specifier");
      value = converted(value, rest[1]);
      rest.remove_prefix(2);
      if (!rest.empty() && rest[0] != ':') throw failure("expected ':' after conversion specifier");
    }
    const std::string spec = rest.empty() ? "" : expanded(rest.substr(1), levels - 1);
    if (!markup_) return formatted(run_, value, spec);
    if (!value.is_markup()) return html_escaped(run_, formatted(run_, value, spec));
    if (!spec.empty()) throw failure("Unsupported format specification for Markup.");
    return value.bytes();
  }

  static size_t end_of_name(std::string_view field) {
    bool in_brackets = false;
    for (size_t i = 0; i < field.size(); ++i) {
      if (field[i] == '[') in_brackets = true;
      if (field[i] == ']') in_brackets = false;
      if (!in_brackets && (field[i] == '!' || field[i] == ':')) return i;
    }
    return field.size();
  }

  static bool is_number(std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  }

  Value field_value(std::string_view name) {
    const size_t first_end = std::min(name.find_first_of(".["), name.size());
    const std::string_view first = name.substr(0, first_end);
    Value value = name.empty() ? automatic() : is_number(first) ? numbered(first) : named(first);
    for (size_t at = first_end; at < name.size();) {
      run_.step();
      const bool attribute = name[at] == '.';
      if (!attribute && name[at] != '[')
        throw failure("Only '.' or '[' may follow ']' in format field specifier");
      ++at;
      const size_t end =
          attribute ? std::min(name.find_first_of(".[", at), name.size()) : name.find(']', at);
      if (end == std::string_view::npos) throw failure("Missing ']' in format string");
      const std::string_view part = name.substr(at, end - at);
      if (part.empty()) throw failure("Empty attribute in format string");
      value = attribute ? attribute_of(run_, value, part) : element(value, part);
      at = attribute ? end : end + 1;
    }
    return value;
  }

  Value element(const Value& value, std::string_view part) {
    size_t at = 0;
    if (is_number(part)) return item_of(run_, value, *format_size(part, at));
    return item_of(run_, value, run_.text(std::string(part)));
  }

  Value automatic() {
    if (numbering_ == Numbering::kManual) fail_numbering();
    numbering_ = Numbering::kAutomatic;
    return positional(next_++);
  }

  Value numbered(std::string_view digits) {
    if (numbering_ == Numbering::kAutomatic) fail_numbering();
    numbering_ = Numbering::kManual;
    size_t at = 0;
    return positional(static_cast<size_t>(*format_size(digits, at)));
  }

  [[noreturn]] static void fail_numbering() {
    throw failure("cannot switch between manual field specification and automatic field numbering");
  }

  Value positional(size_t i) const {
    if (i < arguments_.positional.size()) return arguments_.positional[i];
    throw failure("Replacement index {} out of range for positional args tuple", i);
  }

  Value named(std::string_view name) const {
    for (const auto& [known, value] : arguments_.named) {
      if (known == name) return value;
    }
    throw failure("the format's key {} is missing", in_quotes(name));
  }

  Value converted(const Value& value, char conversion) const {
    switch (conversion) {
      case 's':
        return run_.text(to_text(run_, value));
      case 'r':
        return run_.text(to_repr(run_, value));
      case 'a':
        return run_.text(ascii_only(to_repr(run_, value)));
      default:
        throw failure("Unknown conversion specifier {}", conversion);
    }
  }

  enum class Numbering { kUnknown, kManual, kAutomatic };

  Runtime& run_;
  const Arguments& arguments_;
  bool markup_;
  Numbering numbering_ = Numbering::kUnknown;
  size_t next_ = 0;
};

}  // namespace

Value formatted_with_braces(Runtime& run, const Value& format, const Arguments& arguments) {
  constexpr int kLevels = 2;  // a field inside a field's specification, and no deeper
  run.scan(format.bytes().size());
  return run.text(
      BraceFormatter(run, arguments, format.is_markup()).expanded(format.bytes(), kLevels));
}

}  // namespace fathom::text::jinja
