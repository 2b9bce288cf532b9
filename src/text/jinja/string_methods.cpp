#include "text/jinja/string_methods.h"

#include <algorithm>

#include "text/jinja/format.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"
#include "text/jinja/text.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

// The part of a text that find(part, start, end) and its like look at.
struct Window {
  bool valid = true;  // false: start lies behind end, where not even "" is found
  std::string_view view;
  size_t first = 0;  // code points before it
};

Window window_of(const Value& text, const Bound& args, size_t start_at) {
  const auto length = static_cast<int64_t>(text.text().length());
  const auto placed = [&](const Value& index, int64_t left_out) {
    if (index.is_none()) return left_out;
    const int64_t i = as_index(index);
    return std::max<int64_t>(i < 0 ? i + length : i, 0);
  };
  const int64_t start = placed(args[start_at], 0);
  const int64_t end = std::min(placed(args[start_at + 1], length), length);
  if (start > end) return {.valid = false, .view = {}, .first = 0};
  const std::string_view bytes = text.bytes();
  const size_t begin = code_point_offset(bytes, static_cast<size_t>(start));
  const std::string_view rest = bytes.substr(begin);
  const size_t size = code_point_offset(rest, static_cast<size_t>(end - start));
  return {.valid = true, .view = rest.substr(0, size), .first = static_cast<size_t>(start)};
}

enum class From { kLeft, kRight };

// The position in code points; -1 where it is not found.
int64_t position_in(Runtime& run, const Value& text, const Bound& args, From from) {
  const std::string& part = args.text(0);
  const Window window = window_of(text, args, 1);
  run.scan(text.bytes().size());
  if (!window.valid) return -1;
  const size_t at =
      from == From::kLeft ? find_part(window.view, part) : find_last_part(window.view, part);
  if (at == std::string_view::npos) return -1;
  return static_cast<int64_t>(window.first + count_code_points(window.view.substr(0, at)));
}

Value find(Runtime& run, const Value& s, const Bound& args) {
  return position_in(run, s, args, From::kLeft);
}
Value rfind(Runtime& run, const Value& s, const Bound& args) {
  return position_in(run, s, args, From::kRight);
}
Value found_index(int64_t position) {
  if (position < 0) throw failure("substring not found");
  return position;
}
Value index(Runtime& run, const Value& s, const Bound& args) {
  return found_index(position_in(run, s, args, From::kLeft));
}
Value rindex(Runtime& run, const Value& s, const Bound& args) {
  return found_index(position_in(run, s, args, From::kRight));
}

Value count(Runtime& run, const Value& s, const Bound& args) {
  const std::string& part = args.text(0);
  const Window window = window_of(s, args, 1);
  run.scan(s.bytes().size());
  return window.valid ? count_parts(window.view, part) : 0;
}

template <class Matches>
bool any_matches(Runtime& run, const Value& s, const Bound& args, Matches matches) {
  const Window window = window_of(s, args, 1);
  const Value& wanted = args[0];
  const auto test = [&](const Value& affix) {
    if (!affix.is_text()) {
      throw failure("the argument must be str or a tuple of str, not {}", type_name(affix));
    }
    run.step();
    return window.valid && matches(window.view, std::string_view(affix.bytes()));
  };
  if (wanted.kind() != Kind::kTuple) return test(wanted);
  const std::vector<Value>& affixes = wanted.items().values;
  return std::any_of(affixes.begin(), affixes.end(), test);
}
Value startswith(Runtime& run, const Value& s, const Bound& args) {
  return any_matches(run, s, args, [](auto text, auto affix) { return text.starts_with(affix); });
}
Value endswith(Runtime& run, const Value& s, const Bound& args) {
  return any_matches(run, s, args, [](auto text, auto affix) { return text.ends_with(affix); });
}

template <Sides sides>
Value stripped_of(Runtime& run, const Value& s, const Bound& args) {
  std::optional<std::string_view> chars;
  if (!args[0].is_none()) chars = args.text(0);
  return run.text(std::string(strip(s.bytes(), sides, chars)));
}

template <Sides sides>
Value padded_to(Runtime& run, const Value& s, const Bound& args) {
  std::string_view fill = " ";
  if (args.given(1)) {
    fill = args.text(1);
    if (args[1].text().length() != 1) {
      throw failure("The fill character must be exactly one character long");
    }
  }
  return run.text(padded(run, s.bytes(), args.integer(0, 0), sides, fill));
}

Value zfill(Runtime& run, const Value& s, const Bound& args) {
  const std::string& text = s.bytes();
  const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  std::string out = padded(run, text, args.integer(0, 0), Sides::kLeft, "0");
  if (sign && out.size() > text.size()) {
    out[out.size() - text.size()] = '0';
    out[0] = text[0];
  }
  return run.text(std::move(out));
}

// The separator argument of the split methods: None means white space.
std::optional<std::string_view> separator_of(const Bound& args) {
  if (args[0].is_none()) return std::nullopt;
  const std::string& separator = args.text(0);
  if (separator.empty()) throw failure("empty separator");
  return separator;
}
Value split_method(Runtime& run, const Value& s, const Bound& args) {
  return list_of_texts(run, split(run, s.bytes(), separator_of(args), args.integer(1, -1)));
}
Value rsplit_method(Runtime& run, const Value& s, const Bound& args) {
  return list_of_texts(run,
                       split_from_right(run, s.bytes(), separator_of(args), args.integer(1, -1)));
}
Value splitlines(Runtime& run, const Value& s, const Bound& args) {
  const LineEnds ends = args.truth(run, 0, false) ? LineEnds::kKeep : LineEnds::kDrop;
  return list_of_texts(run, split_lines(run, s.bytes(), ends));
}

template <From from>
Value partition(Runtime& run, const Value& s, const Bound& args) {
  const std::string_view text = s.bytes();
  const std::string_view separator = args.text(0);
  if (separator.empty()) throw failure("empty separator");
  run.scan(text.size());
  const bool from_left = from == From::kLeft;
  const size_t at = from_left ? find_part(text, separator) : find_last_part(text, separator);
  if (at == std::string_view::npos) {
    const Value whole = run.text(std::string(text));
    const Value empty = run.text("");
    return from_left ? run.tuple({whole, empty, empty}) : run.tuple({empty, empty, whole});
  }
  return run.tuple({run.text(std::string(text.substr(0, at))), run.text(std::string(separator)),
                    run.text(std::string(text.substr(at + separator.size())))});
}

Value replace(Runtime& run, const Value& s, const Bound& args) {
  return run.text(replaced(run, s.bytes(), args.text(0), args.text(1), args.integer(2, -1)));
}

Value join(Runtime& run, const Value& s, const Bound& args) {
  std::vector<Value> values = collect(run, args[0]);
  if (s.is_markup()) {
    for (Value& value : values) value = run.text(escaped_text(run, value));
  }
  return run.text(joined(run, s.bytes(), values));
}

Value removeprefix(Runtime& run, const Value& s, const Bound& args) {
  std::string_view text = s.bytes();
  if (text.starts_with(args.text(0))) text.remove_prefix(args.text(0).size());
  return run.text(std::string(text));
}
Value removesuffix(Runtime& run, const Value& s, const Bound& args) {
  std::string_view text = s.bytes();
  if (text.ends_with(args.text(0))) text.remove_suffix(args.text(0).size());
  return run.text(std::string(text));
}

Value expandtabs(Runtime& run, const Value& s, const Bound& args) {
  const int64_t size = args.integer(0, 8);
  TextBuilder out(run);
  int64_t column = 0;
  for (const char c : s.bytes()) {
    if (c == '\t') {
      const int64_t blanks = size > 0 ? size - column % size : 0;
      out.append(static_cast<size_t>(blanks), ' ');
      column += blanks;
    } else {
      out.append(1, c);
      const bool starts_line = c == '\n' || c == '\r';
      const bool continues = (c & 0xC0) == 0x80;  // of a character counted already
      column = starts_line ? 0 : column + (continues ? 0 : 1);
    }
  }
  return run.text(out.take());
}

template <std::string (*map)(std::string_view)>
Value mapped(Runtime& run, const Value& s, const Bound&) {
  run.scan(s.bytes().size());
  return run.text(map(s.bytes()));
}

template <bool (*holds)(char32_t)>
Value all_are(Runtime& run, const Value& s, const Bound&) {
  run.scan(s.bytes().size());
  const std::string& text = s.bytes();
  for (size_t at = 0; at < text.size();) {
    const Decoded d = decode_at(text, at);
    if (!holds(d.value)) return false;
    at += d.bytes;
  }
  return !text.empty();
}

// Some characters are of the one case and none are of another.
template <bool (*wanted)(char32_t), bool (*other)(char32_t)>
Value all_cased_are(Runtime& run, const Value& s, const Bound&) {
  run.scan(s.bytes().size());
  bool some = false;
  for (const char32_t c : decode(s.bytes())) {
    if (other(c) || is_title(c)) return false;
    some = some || wanted(c);
  }
  return some;
}

Value istitle(Runtime& run, const Value& s, const Bound&) {
  run.scan(s.bytes().size());
  bool some = false;
  bool inside_word = false;
  for (const char32_t c : decode(s.bytes())) {
    if (is_upper(c) || is_title(c)) {
      if (inside_word) return false;
      inside_word = some = true;
    } else if (is_lower(c)) {
      if (!inside_word) return false;
      some = true;
    } else {
      inside_word = false;
    }
  }
  return some;
}

Value isascii(Runtime& run, const Value& s, const Bound&) {
  run.scan(s.bytes().size());
  return std::all_of(s.bytes().begin(), s.bytes().end(), [](char c) { return (c & 0x80) == 0; });
}

Value isprintable(Runtime& run, const Value& s, const Bound& args) {
  if (s.bytes().empty()) return true;
  return all_are<is_printable>(run, s, args);
}

Value format(Runtime& run, const Value& s, const Bound& args) {
  return formatted_with_braces(run, s, args.all());
}

Value format_map(Runtime& run, const Value& s, const Bound& args) {
  Arguments arguments;
  if (!args[0].is_dict()) throw failure("format_map() takes a mapping, not {}", type_name(args[0]));
  for (const auto& [key, value] : args[0].dict().entries()) {
    run.step();
    if (key.is_text()) arguments.named.emplace_back(key.bytes(), value);
  }
  return formatted_with_braces(run, s, arguments);
}

constexpr StringMethod kMethods[] = {
    {{"capitalize", "/", mapped<capitalized>}, OnMarkup::kEscapes},
    {{"casefold", "/", mapped<case_folded>}, OnMarkup::kPlain},
    {{"center", "/ width fillchar?", padded_to<Sides::kBoth>}, OnMarkup::kEscapes},
    {{"count", "/ sub start? end?", count}, OnMarkup::kPlain},
    {{"encode", "*", nullptr}, OnMarkup::kPlain},
    {{"endswith", "/ suffix start? end?", endswith}, OnMarkup::kPlain},
    {{"expandtabs", "tabsize?", expandtabs}, OnMarkup::kEscapes},
    {{"find", "/ sub start? end?", find}, OnMarkup::kPlain},
    {{"format", "*", format}, OnMarkup::kKeeps},
    {{"format_map", "/ mapping", format_map}, OnMarkup::kKeeps},
    {{"index", "/ sub start? end?", index}, OnMarkup::kPlain},
    {{"isalnum", "/", all_are<is_alnum>}, OnMarkup::kPlain},
    {{"isalpha", "/", all_are<is_alpha>}, OnMarkup::kPlain},
    {{"isascii", "/", isascii}, OnMarkup::kPlain},
    {{"isdecimal", "/", all_are<is_decimal>}, OnMarkup::kPlain},
    {{"isdigit", "/", all_are<is_digit>}, OnMarkup::kPlain},
    {{"isidentifier", "/", nullptr}, OnMarkup::kPlain},
    {{"islower", "/", all_cased_are<is_lower, is_upper>}, OnMarkup::kPlain},
    {{"isnumeric", "/", all_are<is_numeric>}, OnMarkup::kPlain},
    {{"isprintable", "/", isprintable}, OnMarkup::kPlain},
    {{"isspace", "/", all_are<is_space>}, OnMarkup::kPlain},
    {{"istitle", "/", istitle}, OnMarkup::kPlain},
    {{"isupper", "/", all_cased_are<is_upper, is_lower>}, OnMarkup::kPlain},
    {{"join", "/ iterable", join}, OnMarkup::kKeeps},
    {{"ljust", "/ width fillchar?", padded_to<Sides::kRight>}, OnMarkup::kEscapes},
    {{"lower", "/", mapped<to_lower>}, OnMarkup::kEscapes},
    {{"lstrip", "/ chars?", stripped_of<Sides::kLeft>}, OnMarkup::kEscapes},
    {{"maketrans", "*", nullptr}, OnMarkup::kPlain},
    {{"partition", "/ sep", partition<From::kLeft>}, OnMarkup::kEscapes},
    {{"removeprefix", "/ prefix", removeprefix}, OnMarkup::kPlain},
    {{"removesuffix", "/ suffix", removesuffix}, OnMarkup::kPlain},
    {{"replace", "/ old new count?", replace}, OnMarkup::kEscapes},
    {{"rfind", "/ sub start? end?", rfind}, OnMarkup::kPlain},
    {{"rindex", "/ sub start? end?", rindex}, OnMarkup::kPlain},
    {{"rjust", "/ width fillchar?", padded_to<Sides::kLeft>}, OnMarkup::kEscapes},
    {{"rpartition", "/ sep", partition<From::kRight>}, OnMarkup::kEscapes},
    {{"rsplit", "sep? maxsplit?", rsplit_method}, OnMarkup::kKeeps},
    {{"rstrip", "/ chars?", stripped_of<Sides::kRight>}, OnMarkup::kEscapes},
    {{"split", "sep? maxsplit?", split_method}, OnMarkup::kKeeps},
    {{"splitlines", "keepends?", splitlines}, OnMarkup::kKeeps},
    {{"startswith", "/ prefix start? end?", startswith}, OnMarkup::kPlain},
    {{"strip", "/ chars?", stripped_of<Sides::kBoth>}, OnMarkup::kEscapes},
    {{"swapcase", "/", mapped<swapped_case>}, OnMarkup::kEscapes},
    {{"title", "/", mapped<to_title>}, OnMarkup::kEscapes},
    {{"translate", "*", nullptr}, OnMarkup::kPlain},
    {{"upper", "/", mapped<to_upper>}, OnMarkup::kEscapes},
    {{"zfill", "/ width", zfill}, OnMarkup::kEscapes},
};

}  // namespace

std::span<const StringMethod> string_methods() { return kMethods; }

}  // namespace fathom::text::jinja
