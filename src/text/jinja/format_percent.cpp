// "%-5s %05.2f %(name)s" % values
#include <cmath>

#include "text/jinja/format.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"
#include "text/jinja/text.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

struct Directive {
  bool left = false;   // "-"
  bool zeros = false;  // "0"
  NumberStyle style;
  int width = 0;
  std::optional<int> precision;
};

class PercentFormatter {
 public:
  PercentFormatter(Runtime& run, const Value& format, const Value& values)
      : run_(run),
        format_(format.bytes()),
        markup_(format.is_markup()),
        values_(values),
        out_(run) {}

  std::string run() {
    for (;;) {
      const size_t percent = std::min(format_.find('%', at_), format_.size());
      out_.append(format_.substr(at_, percent - at_));
      at_ = percent + 1;
      if (percent == format_.size()) break;
      run_.step();
      directive();
    }
    const bool used_up =
        values_.kind() == Kind::kTuple ? next_ >= values_.items().values.size() : next_ > 0;
    if (!used_up && !is_mapping()) {
      throw failure("not all arguments converted during string formatting");
    }
    return out_.take();
  }

 private:
  // What Python lets %(name)s look into, and does not mind to be left over.
  bool is_mapping() const {
    return values_.is_dict() || values_.kind() == Kind::kList || values_.is_undefined() ||
           values_.object_as<Range>() != nullptr;
  }

  char peek() const {
    if (at_ >= format_.size()) throw failure("incomplete format");
    return format_[at_];
  }

  Value next_value() {
    if (key_) return *key_;
    if (values_.kind() == Kind::kTuple) {
      if (next_ < values_.items().values.size()) return values_.items().values[next_++];
    } else if (next_ == 0) {
      ++next_;
      return values_;
    }
    throw failure("not enough arguments for format string");
  }

  void directive() {
    key_.reset();
    if (peek() == '%') {
      ++at_;
      return out_.append("%");
    }
    if (peek() == '(') read_key();
    Directive d = read_flags();
    d.width = read_size().value_or(0);
    if (d.width < 0) {
      d.left = true;
      d.width = -d.width;
    }
    if (peek() == '.') {
      ++at_;
      d.precision = std::max(read_size().value_or(0), 0);
    }
    while (peek() == 'h' || peek() == 'l' || peek() == 'L') ++at_;
    convert(d, format_[at_++]);
  }

  void read_key() {
    if (!is_mapping()) throw failure("format requires a mapping");
    const size_t begin = ++at_;
    for (int open = 1; open > 0; ++at_) {
      if (at_ >= format_.size()) throw failure("incomplete format key");
      open += format_[at_] == '(' ? 1 : format_[at_] == ')' ? -1 : 0;
    }
    const Value name = run_.text(std::string(format_.substr(begin, at_ - 1 - begin)));
    if (!values_.is_dict()) throw failure("format keys need a dict");
    const Value* found = values_.dict().find(run_, name);
    if (found == nullptr) throw failure("the format's key {} is missing", in_quotes(name.bytes()));
    key_ = *found;
    next_ = 1;
  }

  Directive read_flags() {
    Directive d;
    for (;; ++at_) {
      switch (peek()) {
        case '-':
          d.left = true;
          break;
        case '0':
          d.zeros = true;
          break;
        case '#':
          d.style.alternate = true;
          break;
        case '+':
          d.style.sign = '+';
          break;
        case ' ':
          if (d.style.sign != '+') d.style.sign = ' ';
          break;
        default:
          return d;
      }
    }
  }

  std::optional<int> read_size() {
    if (peek() != '*') return format_size(format_, at_);
    ++at_;
    const Value size = next_value();
    if (!size.is_integral()) throw failure("* wants int");
    constexpr int64_t kMost = 1 << 30;
    if (std::abs(size.integer() / 2) > kMost / 2) {
      throw failure("a number in the format is too big");
    }
    return static_cast<int>(size.integer());
  }

  void convert(Directive& d, char type) {
    d.style.type = type == 'i' || type == 'u' ? 'd' : type;
    switch (type) {
      case 's':
      case 'r':
      case 'a':
        return write_text_value(d, type);
      case 'c':
        return write_padded(d, character());
      case 'd':
      case 'i':
      case 'u':
      case 'o':
      case 'x':
      case 'X':
        return write_number(d, integer_text(run_, integer_for(type), with_precision(d)));
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return write_number(d, float_text(run_, float_value(), with_precision(d)));
      default:
        throw failure("unsupported format character '{}' (0x{:x}) at index {}", type,
                      static_cast<unsigned char>(type), at_ - 1);
    }
  }

  static NumberStyle with_precision(const Directive& d) {
    NumberStyle style = d.style;
    style.precision = d.precision.value_or(-1);
    return style;
  }

  int64_t integer_for(char type) {
    const Value value = next_value();
    if (value.is_undefined()) fail_undefined(value);
    if (value.is_integral()) return value.integer();
    const bool decimal = type == 'd' || type == 'i' || type == 'u';
    if (!decimal || value.kind() != Kind::kFloat) {
      throw failure("%{} format: {} is required, not {}", type,
                    decimal ? "a real number" : "an integer", type_name(value));
    }
    constexpr double kLimit = 9.2e18;
    if (!(std::abs(value.floating()) < kLimit)) {
      throw failure("cannot convert float {} to integer", float_repr(value.floating()));
    }
    return static_cast<int64_t>(value.floating());
  }

  double float_value() {
    const Value value = next_value();
    if (value.is_undefined()) fail_undefined(value);
    if (!value.is_number()) throw failure("must be real number, not {}", type_name(value));
    return value.number();
  }

  std::string character() {
    const Value value = next_value();
    if (value.is_text() && value.text().length() == 1) return value.bytes();
    if (!value.is_integral()) throw failure("%c requires int or char");
    const int64_t c = value.integer();
    if (c < 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
      throw failure("%c arg not in range(0x110000)");
    }
    std::string out;
    append_code_point(out, static_cast<char32_t>(c));
    return out;
  }

  void write_text_value(const Directive& d, char type) {
    const Value value = next_value();
    std::string text = type == 's' ? to_text(run_, value) : to_repr(run_, value);
    if (type == 'a') text = ascii_only(text);
    if (markup_ && !(type == 's' && value.is_markup())) text = html_escaped(run_, text);
    if (d.precision) text.resize(code_point_offset(text, static_cast<size_t>(*d.precision)));
    write_padded(d, text);
  }

  void write_padded(const Directive& d, std::string_view text) {
    out_.append(padded(run_, text, d.width, d.left ? Sides::kRight : Sides::kLeft));
  }

  void write_number(const Directive& d, const NumberText& number) {
    const std::string start = number.sign + number.prefix;
    if (!d.zeros || d.left) return write_padded(d, start + number.digits);
    const int64_t width = d.width - static_cast<int64_t>(start.size());
    out_.append(start + padded(run_, number.digits, width, Sides::kLeft, "0"));
  }

  Runtime& run_;
  std::string_view format_;
  bool markup_;
  const Value& values_;
  TextBuilder out_;
  size_t at_ = 0;
  size_t next_ = 0;  // of the values
  std::optional<Value> key_;
};

}  // namespace

Value formatted_with_percent(Runtime& run, const Value& format, const Value& values) {
  run.scan(format.bytes().size());
  return run.text_like(format, PercentFormatter(run, format, values).run());
}

}  // namespace fathom::text::jinja
