#include "text/jinja/print.h"

#include <charconv>
#include <cmath>

#include "text/entity.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

std::string escape_of(char32_t c) {
  const auto value = static_cast<uint32_t>(c);
  switch (c) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return value <= 0xFF     ? fmt::format("\\x{:02x}", value)
             : value <= 0xFFFF ? fmt::format("\\u{:04x}", value)
                               : fmt::format("\\U{:08x}", value);
  }
}

// Hands the quoted text to `sink` in pieces: it may be several times as long as the text.
template <class Sink>
void write_quoted(Sink&& sink, std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  sink(std::string_view(&quote, 1));
  size_t plain = 0;  // where the characters begin that stay as they are
  for (size_t at = 0; at < text.size();) {
    const Decoded d = decode_at(text, at);
    const bool needs_backslash = text[at] == quote || text[at] == '\\';
    if (needs_backslash || !is_printable(d.value)) {
      sink(text.substr(plain, at - plain));
      plain = at + (needs_backslash ? 0 : d.bytes);
      sink(needs_backslash ? "\\" : escape_of(d.value));
    }
    at += d.bytes;
  }
  sink(text.substr(plain));
  sink(std::string_view(&quote, 1));
}

struct Brackets {
  std::string_view open, close;
};

void write_values(Runtime& run, TextBuilder& out, const std::vector<Value>& values,
                  const Brackets& brackets) {
  out.append(brackets.open);
  const TextBuilder::Writing writing(out, &values);
  if (writing.is_repeated()) {
    out.append("...");
    return out.append(brackets.close);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out.append(", ");
    write_repr(run, out, values[i]);
  }
  out.append(brackets.close);
}

void write_dict(Runtime& run, TextBuilder& out, const Dict& dict) {
  const TextBuilder::Writing writing(out, &dict);
  if (writing.is_repeated()) return out.append("{...}");
  out.append("{");
  bool first = true;
  for (const auto& [key, value] : dict.entries()) {
    if (!first) out.append(", ");
    first = false;
    write_repr(run, out, key);
    out.append(": ");
    write_repr(run, out, value);
  }
  out.append("}");
}

void write_text_repr(Runtime& run, TextBuilder& out, const Value& value) {
  run.scan(value.bytes().size());
  const bool markup = value.is_markup();
  if (markup) out.append("Markup(");
  write_quoted([&](std::string_view piece) { out.append(piece); }, value.bytes());
  if (markup) out.append(")");
}

}  // namespace

void Object::write_repr(Runtime&, TextBuilder& out) const {
  out.append(fmt::format("<{} object>", full_type_name()));
}

void write_repr(Runtime& run, TextBuilder& out, const Value& value) {
  run.step();
  switch (value.kind()) {
    case Kind::kNone:
      return out.append("None");
    case Kind::kBool:
      return out.append(value.boolean() ? "True" : "False");
    case Kind::kInt:
      return out.append(fmt::format("{}", value.integer()));
    case Kind::kFloat:
      return out.append(float_repr(value.floating()));
    case Kind::kText:
      return write_text_repr(run, out, value);
    case Kind::kList:
      return write_values(run, out, value.items().values, {"[", "]"});
    case Kind::kTuple: {
      const bool single = value.items().values.size() == 1;
      return write_values(run, out, value.items().values, {"(", single ? ",)" : ")"});
    }
    case Kind::kDict:
      return write_dict(run, out, value.dict());
    case Kind::kObject: {
      const Runtime::Nesting nested(run);  // long chains of namespaces have no bounded depth
      return value.object().write_repr(run, out);
    }
    case Kind::kUndefined:
      return out.append("Undefined");
  }
}

void write_text(Runtime& run, TextBuilder& out, const Value& value) {
  if (value.is_undefined()) return;
  if (value.is_text()) {
    run.scan(value.bytes().size());
    out.append(value.bytes());
  } else {
    write_repr(run, out, value);
  }
}

std::string to_text(Runtime& run, const Value& value) {
  TextBuilder out(run);
  write_text(run, out, value);
  return out.take();
}

std::string to_repr(Runtime& run, const Value& value) {
  TextBuilder out(run);
  write_repr(run, out, value);
  return out.take();
}

std::string short_repr(Runtime& run, const Value& value, size_t length) {
  if (value.is_text()) {
    const std::string_view text = value.bytes();
    const size_t end = code_point_offset(text, length);
    return in_quotes(text.substr(0, end)) + (end < text.size() ? "..." : "");
  }
  if (value.is_number() || value.is_none()) return to_repr(run, value);
  return fmt::format("of type '{}'", type_name(value));
}

std::string in_quotes(std::string_view text) {
  std::string out;
  write_quoted([&](std::string_view piece) { out += piece; }, text);
  return out;
}

std::string ascii_only(std::string_view text) {
  std::string out;
  for (const char32_t c : decode(text)) {
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else {
      out += escape_of(c);
    }
  }
  return out;
}

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  constexpr int kFirstWithExponent = 16;  // 1e+16 is the first that is written with one
  constexpr int kLastWithExponent = -5;
  char buffer[40] = {};
  const auto result =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  const std::string_view all(buffer, static_cast<size_t>(result.ptr - buffer));
  const size_t e = all.find('e');
  const int exponent = std::atoi(all.data() + e + 1);
  if (exponent >= kFirstWithExponent || exponent <= kLastWithExponent) return std::string(all);
  const size_t sign = all[0] == '-' ? 1 : 0;
  std::string digits;
  for (const char c : all.substr(sign, e - sign)) {
    if (c != '.') digits += c;
  }
  std::string out(all.substr(0, sign));
  if (exponent < 0)
    return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const size_t whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() < whole) digits.append(whole - digits.size(), '0');
  out += digits.substr(0, whole) + "." + digits.substr(whole);
  return digits.size() == whole ? out + "0" : out;
}

std::string html_escaped(Runtime& run, std::string_view text) {
  run.scan(text.size());
  TextBuilder out(run);
  size_t plain = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const std::string_view entity = markup_entity(text[at]);
    if (entity.empty()) continue;
    out.append(text.substr(plain, at - plain));
    out.append(entity);
    plain = at + 1;
  }
  out.append(text.substr(plain));
  return out.take();
}

std::string escaped_text(Runtime& run, const Value& value) {
  const std::string text = to_text(run, value);
  return value.is_markup() ? text : html_escaped(run, text);
}

}  // namespace fathom::text::jinja
