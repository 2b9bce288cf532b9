// Filters on text.
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/format.h"
#include "text/jinja/json.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"
#include "text/jinja/text.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

template <std::string (*map)(std::string_view)>
Value mapped(Runtime& run, const Value& value, const Bound&) {
  return run.text_like(value, map(to_text(run, value)));
}

Value string(Runtime& run, const Value& value, const Bound&) {
  return value.is_text() ? value : run.text(to_text(run, value));
}

Value safe(Runtime& run, const Value& value, const Bound&) {
  return run.text(to_text(run, value), Escaping::kMarkup);
}

Value escape(Runtime& run, const Value& value, const Bound&) {
  return run.text(escaped_text(run, value), Escaping::kMarkup);
}

Value forceescape(Runtime& run, const Value& value, const Bound&) {
  return run.text(html_escaped(run, to_text(run, value)), Escaping::kMarkup);
}

Value trim(Runtime& run, const Value& value, const Bound& args) {
  const std::string text = to_text(run, value);
  if (args[0].is_none()) return run.text_like(value, std::string(strip(text, Sides::kBoth)));
  const std::string chars = value.is_markup() ? escaped_text(run, args[0]) : args.text(0);
  return run.text_like(value, std::string(strip(text, Sides::kBoth, chars)));
}

Value replace(Runtime& run, const Value& value, const Bound& args) {
  const int64_t most = args[2].is_none() ? -1 : as_index(args[2]);
  return run.text(
      replaced(run, to_text(run, value), to_text(run, args[0]), to_text(run, args[1]), most));
}

// A word's first letter in upper case, the rest in lower case; words begin behind these characters.
Value title(Runtime& run, const Value& value, const Bound&) {
  const std::u32string points = decode(to_text(run, value));
  const auto separates = [](char32_t c) {
    return is_space(c) || std::u32string_view(U"-({[<").find(c) != std::u32string_view::npos;
  };
  TextBuilder out(run);
  for (size_t begin = 0; begin < points.size();) {
    const bool separator = separates(points[begin]);
    size_t end = begin;
    while (end < points.size() && separates(points[end]) == separator) ++end;
    const std::u32string_view word(points.data() + begin, end - begin);
    out.append(to_upper(encode(word.substr(0, 1))));
    out.append(to_lower(encode(word.substr(1))));
    begin = end;
  }
  return run.text(out.take());
}

Value center(Runtime& run, const Value& value, const Bound& args) {
  constexpr int64_t kDefaultWidth = 80;
  const std::string text = to_text(run, value);
  return run.text_like(value, padded(run, text, args.integer(0, kDefaultWidth), Sides::kBoth));
}

const std::string& required_text(const Value& value, std::string_view filter) {
  if (value.is_undefined()) fail_undefined(value);
  if (!value.is_text()) throw failure("{}() needs a text, not {}", filter, type_name(value));
  return value.bytes();
}

std::string indention_of(Runtime& run, const Value& text, const Bound& args) {
  constexpr int64_t kDefaultWidth = 4;
  if (args[0].is_text()) return text.is_markup() ? escaped_text(run, args[0]) : args[0].bytes();
  const int64_t width = std::max<int64_t>(args.integer(0, kDefaultWidth), 0);
  run.check_text(static_cast<size_t>(width));
  return std::string(static_cast<size_t>(width), ' ');
}

Value indent(Runtime& run, const Value& value, const Bound& args) {
  const std::string text = required_text(value, "indent") + "\n";
  const std::string indention = indention_of(run, value, args);
  const bool first = args.truth(run, 1, false);
  const bool blank = args.truth(run, 2, false);
  TextBuilder out(run);
  if (first) out.append(indention);
  bool is_first = true;
  for (const std::string_view line : split_lines(run, text)) {
    if (!is_first) out.append("\n");
    if (!is_first && (blank || !line.empty())) out.append(indention);
    out.append(line);
    is_first = false;
  }
  return run.text_like(value, out.take());
}

Value truncate(Runtime& run, const Value& value, const Bound& args) {
  constexpr int64_t kDefaultLength = 255;
  constexpr int64_t kDefaultLeeway = 5;
  const std::string end = args.given(2) ? args.text(2) : "...";
  const int64_t length = args.integer(0, kDefaultLength);
  const int64_t leeway = args[3].is_none() ? kDefaultLeeway : as_index(args[3]);
  const auto end_length = static_cast<int64_t>(count_code_points(end));
  if (length < end_length) throw failure("expected length >= {}, got {}", end_length, length);
  if (leeway < 0) throw failure("expected leeway >= 0, got {}", leeway);
  const int64_t text_length = length_of(run, value);
  if (text_length <= length || text_length - length <= leeway) return value;
  const std::string_view text = required_text(value, "truncate");
  const size_t keeps = static_cast<size_t>(length - end_length);
  std::string_view kept = text.substr(0, code_point_offset(text, keeps));
  if (!args.truth(run, 1, false)) kept = kept.substr(0, kept.rfind(' '));
  const std::string tail = value.is_markup() ? html_escaped(run, end) : end;
  return run.text_like(value, std::string(kept) + tail);
}

Value wordcount(Runtime& run, const Value& value, const Bound&) {
  int64_t count = 0;
  bool inside_word = false;
  for (const char32_t c : decode(to_text(run, value))) {
    if (is_word(c) && !inside_word) ++count;
    inside_word = is_word(c);
  }
  return count;
}

Value format(Runtime& run, const Value& value, const Bound& args) {
  const Arguments& all = args.all();
  if (!all.positional.empty() && !all.named.empty()) {
    throw failure("can't handle positional and keyword arguments at the same time");
  }
  const Value subject = value.is_text() ? value : run.text(to_text(run, value));
  if (all.named.empty()) return formatted_with_percent(run, subject, run.tuple(all.positional));
  std::vector<Dict::Entry> entries;
  for (const auto& [name, argument] : all.named) entries.emplace_back(run.text(name), argument);
  return formatted_with_percent(run, subject, run.dict(std::move(entries)));
}

enum class Quoting { kPath, kQuery };

std::string url_quoted(Runtime& run, std::string_view text, Quoting quoting) {
  constexpr std::string_view kSafe = "_.-~";
  TextBuilder out(run);
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    const bool slash = c == '/' && quoting == Quoting::kPath;
    if (letter || slash || kSafe.find(c) != std::string_view::npos) {
      out.append(1, c);
    } else if (c == ' ' && quoting == Quoting::kQuery) {
      out.append("+");
    } else {
      out.append(fmt::format("%{:02X}", static_cast<unsigned char>(c)));
    }
  }
  return out.take();
}

Value urlencode(Runtime& run, const Value& value, const Bound&) {
  if (value.is_text() || !is_iterable(run, value)) {
    return run.text(url_quoted(run, to_text(run, value), Quoting::kPath));
  }
  const Value pairs =
      value.is_dict() ? run.make<DictView>(run, value, DictView::Shows::kItems) : value;
  TextBuilder out(run);
  bool first = true;
  for (const Value& pair : collect(run, pairs)) {
    const std::vector<Value> parts = collect(run, pair);
    if (parts.size() != 2) throw failure("urlencode() needs pairs of a key and a value");
    if (!first) out.append("&");
    first = false;
    out.append(url_quoted(run, to_text(run, parts[0]), Quoting::kQuery));
    out.append("=");
    out.append(url_quoted(run, to_text(run, parts[1]), Quoting::kQuery));
  }
  return run.text(out.take());
}

Value xmlattr(Runtime& run, const Value& value, const Bound& args) {
  if (!value.is_dict()) throw failure("xmlattr() needs a dict, not {}", type_name(value));
  TextBuilder out(run);
  bool space = args.truth(run, 0, true);
  for (const auto& [key, attribute] : value.dict().entries()) {
    run.step();
    if (attribute.is_none() || attribute.is_undefined()) continue;
    const std::string& name = required_text(key, "xmlattr");
    if (name.find_first_of(" \t\n\r\f\v/>=") != std::string::npos) {
      throw failure("Invalid character in attribute name: {}", in_quotes(name));
    }
    if (space) out.append(" ");
    space = true;
    out.append(escaped_text(run, key));
    out.append("=\"");
    out.append(escaped_text(run, attribute));
    out.append("\"");
  }
  return run.text(out.take());
}

std::string json_indent(Runtime& run, const Value& indent) {
  if (indent.is_text()) return indent.bytes();
  const int64_t width = std::max<int64_t>(as_index(indent), 0);
  run.check_text(static_cast<size_t>(width));
  return std::string(static_cast<size_t>(width), ' ');
}

// As chat clients have it: json.dumps without HTML's escapes, its options as arguments.
Value tojson(Runtime& run, const Value& value, const Bound& args) {
  JsonStyle style;
  style.ascii = args.truth(run, 0, false);
  style.sort_keys = args.truth(run, 3, false);
  if (!args[1].is_none()) {
    style.indent = json_indent(run, args[1]);
    style.item_separator.assign(1, ',');
  }
  if (!args[2].is_none()) {
    const std::vector<Value> separators = collect(run, args[2]);
    if (separators.size() != 2) throw failure("separators must be a pair of texts");
    style.item_separator = required_text(separators[0], "tojson");
    style.key_separator = required_text(separators[1], "tojson");
  }
  return run.text(to_json(run, value, style));
}

constexpr Builtin kFilters[] = {
    {"capitalize", "", mapped<capitalized>},
    {"center", "width?", center},
    {"e", "", escape},
    {"escape", "", escape},
    {"forceescape", "", forceescape},
    {"format", "*", format},
    {"indent", "width? first? blank?", indent},
    {"lower", "", mapped<to_lower>},
    {"pprint", "", nullptr},
    {"replace", "old new count?", replace},
    {"safe", "", safe},
    {"string", "", string},
    {"striptags", "", nullptr},
    {"title", "", title},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", tojson},
    {"trim", "chars?", trim},
    {"truncate", "length? killwords? end? leeway?", truncate},
    {"upper", "", mapped<to_upper>},
    {"urlencode", "", urlencode},
    {"urlize", "*", nullptr},
    {"wordcount", "", wordcount},
    {"wordwrap", "*", nullptr},
    {"xmlattr", "autospace?", xmlattr},
};

}  // namespace

std::span<const Builtin> text_filters() { return kFilters; }

}  // namespace fathom::text::jinja
