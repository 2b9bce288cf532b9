#include "text/jinja/json.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "text/jinja/operations.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

Value list_from_json(Runtime& run, const ChatTemplate::Json& json) {
  const Runtime::Nesting nesting(run);
  std::vector<Value> values;
  for (const auto& element : json) grow(run, values, from_json(run, element));
  return run.list(std::move(values));
}

Value dict_from_json(Runtime& run, const ChatTemplate::Json& json) {
  const Runtime::Nesting nesting(run);
  std::vector<Dict::Entry> entries;
  for (const auto& [key, value] : json.items()) {
    Value name = run.text(key);
    grow(run, entries, Dict::Entry{std::move(name), from_json(run, value)});
  }
  return run.dict(std::move(entries));
}

Value integer_from_json(const ChatTemplate::Json& json) {
  if (!json.is_number_unsigned()) return json.get<int64_t>();
  const auto value = json.get<uint64_t>();
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    throw failure("the integer {} of the variables does not fit 64 bits", value);
  }
  return static_cast<int64_t>(value);
}

class JsonWriter {
 public:
  JsonWriter(Runtime& run, const JsonStyle& style) : run_(run), style_(style), out_(run) {}

  std::string written(const Value& value) {
    write(value);
    return out_.take();
  }

 private:
  void write(const Value& value) {
    run_.step();
    switch (value.kind()) {
      case Kind::kNone:
        return out_.append("null");
      case Kind::kBool:
        return out_.append(value.boolean() ? "true" : "false");
      case Kind::kInt:
        return out_.append(fmt::format("{}", value.integer()));
      case Kind::kFloat:
        return out_.append(float_text(value.floating()));
      case Kind::kText:
        return write_string(value.bytes());
      case Kind::kList:
      case Kind::kTuple:
        return write_list(value.items().values);
      case Kind::kDict:
        return write_dict(value.dict());
      default:
        throw failure("Object of type {} is not JSON serializable", type_name(value));
    }
  }

  static std::string float_text(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return float_repr(value);
  }

  static std::string_view short_escape(char c) {
    switch (c) {
      case '"':
        return "\\\"";
      case '\\':
        return "\\\\";
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      case '\f':
        return "\\f";
      case '\b':
        return "\\b";
      default:
        return {};
    }
  }

  static std::string unicode_escape(char32_t c) {
    const auto value = static_cast<uint32_t>(c);
    if (value <= 0xFFFF) return fmt::format("\\u{:04x}", value);
    const uint32_t rest = value - 0x10000;
    return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
  }

  void write_string(std::string_view text) {
    run_.scan(text.size());
    out_.append("\"");
    size_t plain = 0;  // where the characters begin that stay as they are
    for (size_t at = 0; at < text.size();) {
      const Decoded d = decode_at(text, at);
      const std::string_view escape = short_escape(text[at]);
      const bool control = d.value < 0x20 || (style_.ascii && d.value >= 0x7F);
      if (!escape.empty() || control) {
        out_.append(text.substr(plain, at - plain));
        out_.append(escape.empty() ? unicode_escape(d.value) : escape);
        plain = at + d.bytes;
      }
      at += d.bytes;
    }
    out_.append(text.substr(plain));
    out_.append("\"");
  }

  std::string key_text(const Value& key) const {
    switch (key.kind()) {
      case Kind::kText:
        return key.bytes();
      case Kind::kNone:
        return "null";
      case Kind::kBool:
        return key.boolean() ? "true" : "false";
      case Kind::kInt:
        return fmt::format("{}", key.integer());
      case Kind::kFloat:
        return float_text(key.floating());
      default:
        throw failure("keys must be str, int, float, bool or None, not {}", type_name(key));
    }
  }

  void break_line() {
    if (!style_.indent) return;
    out_.append("\n");
    for (int i = 0; i < level_; ++i) out_.append(*style_.indent);
  }

  void write_list(const std::vector<Value>& values) {
    if (values.empty()) return out_.append("[]");
    out_.append("[");
    ++level_;
    for (size_t i = 0; i < values.size(); ++i) {
      if (i > 0) out_.append(style_.item_separator);
      break_line();
      write(values[i]);
    }
    --level_;
    break_line();
    out_.append("]");
  }

  void write_dict(const Dict& dict) {
    if (dict.size() == 0) return out_.append("{}");
    std::vector<const Dict::Entry*> entries;
    for (const Dict::Entry& entry : dict.entries()) grow(run_, entries, &entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [&](const auto* a, const auto* b) {
        return compare(run_, CompareOp::kLt, a->first, b->first);
      });
    }
    out_.append("{");
    ++level_;
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) out_.append(style_.item_separator);
      break_line();
      write_string(key_text(entries[i]->first));
      out_.append(style_.key_separator);
      write(entries[i]->second);
    }
    --level_;
    break_line();
    out_.append("}");
  }

  Runtime& run_;
  const JsonStyle& style_;
  TextBuilder out_;
  int level_ = 0;
};

}  // namespace

Value from_json(Runtime& run, const ChatTemplate::Json& json) {
  const Runtime::Nesting nested(run);
  switch (json.type()) {
    case ChatTemplate::Json::value_t::null:
      return {};
    case ChatTemplate::Json::value_t::boolean:
      return json.get<bool>();
    case ChatTemplate::Json::value_t::number_integer:
    case ChatTemplate::Json::value_t::number_unsigned:
      return integer_from_json(json);
    case ChatTemplate::Json::value_t::number_float:
      return json.get<double>();
    case ChatTemplate::Json::value_t::string:
      return run.text(json.get_ref<const std::string&>());
    case ChatTemplate::Json::value_t::array:
      return list_from_json(run, json);
    case ChatTemplate::Json::value_t::object:
      return dict_from_json(run, json);
    default:
      throw failure("the variables hold binary data");
  }
}

std::string to_json(Runtime& run, const Value& value, const JsonStyle& style) {
  return JsonWriter(run, style).written(value);
}

}  // namespace fathom::text::jinja
