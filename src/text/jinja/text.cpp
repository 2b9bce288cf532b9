#include "text/jinja/text.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "text/jinja/operations.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

constexpr size_t kAll = std::numeric_limits<size_t>::max();

size_t most_splits(int64_t most) { return most < 0 ? kAll : static_cast<size_t>(most); }

bool is_line_end(char32_t c) {
  return (c >= 0xA && c <= 0xD) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

// Bytes before the first white space.
size_t word_length(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Decoded d = decode_at(text, at);
    if (is_space(d.value)) break;
    at += d.bytes;
  }
  return at;
}

// The offset of the last code point. REQUIRES: text is not empty.
size_t last_code_point(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && text.size() - begin < 4 && (text[begin] & 0xC0) == 0x80) --begin;
  return begin + decode_at(text, begin).bytes == text.size() ? begin : text.size() - 1;
}

size_t last_word_length(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    const size_t begin = last_code_point(text.substr(0, end));
    if (is_space(decode_at(text, begin).value)) break;
    end = begin;
  }
  return text.size() - end;
}

Pieces split_words(Runtime& run, std::string_view text, size_t most) {
  Pieces out;
  for (;;) {
    text.remove_prefix(leading_space(text));
    if (text.empty()) return out;
    if (out.size() == most) {
      grow(run, out, text);
      return out;
    }
    const size_t length = word_length(text);
    grow(run, out, text.substr(0, length));
    text.remove_prefix(length);
  }
}

Pieces split_words_from_right(Runtime& run, std::string_view text, size_t most) {
  Pieces out;
  for (;;) {
    text.remove_suffix(trailing_space(text));
    if (text.empty()) break;
    if (out.size() == most) {
      grow(run, out, text);
      break;
    }
    const size_t length = last_word_length(text);
    grow(run, out, text.substr(text.size() - length));
    text.remove_suffix(length);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

Pieces pieces_between(Runtime& run, std::string_view text, const std::vector<size_t>& cuts,
                      size_t width) {
  Pieces out;
  size_t begin = 0;
  for (const size_t cut : cuts) {
    grow(run, out, text.substr(begin, cut - begin));
    begin = cut + width;
  }
  out.push_back(text.substr(begin));
  return out;
}

// Where the occurrences of a part begin, without overlaps; at most `most`. REQUIRES: part is not
// empty.
std::vector<size_t> find_parts(Runtime& run, std::string_view text, std::string_view part,
                               size_t most) {
  std::vector<size_t> out;
  for (size_t at = 0; out.size() < most; at += part.size()) {
    at = find_part(text, part, at);
    if (at == std::string_view::npos) break;
    grow(run, out, at);
  }
  return out;
}

// The same from the right: where occurrences overlap, others are found.
std::vector<size_t> find_parts_from_right(Runtime& run, std::string_view text,
                                          std::string_view part, size_t most) {
  const std::string backwards(text.rbegin(), text.rend());
  const std::string part_backwards(part.rbegin(), part.rend());
  std::vector<size_t> out = find_parts(run, backwards, part_backwards, most);
  for (size_t& at : out) at = text.size() - at - part.size();
  std::reverse(out.begin(), out.end());
  return out;
}

// replace with an empty `old`: the replacement goes between all characters and to both ends.
std::string interspersed(Runtime& run, std::string_view text, std::string_view replacement,
                         size_t most) {
  TextBuilder out(run);
  size_t at = 0;
  for (size_t done = 0; done < most; ++done) {
    out.append(replacement);
    if (at >= text.size()) return out.take();
    const size_t length = decode_at(text, at).bytes;
    out.append(text.substr(at, length));
    at += length;
  }
  out.append(text.substr(at));
  return out.take();
}

}  // namespace

size_t find_part(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

size_t count_parts(std::string_view text, std::string_view part) {
  if (part.empty()) return count_code_points(text) + 1;
  size_t count = 0;
  for (size_t at = 0; (at = find_part(text, part, at)) != std::string_view::npos; ++count) {
    at += part.size();
  }
  return count;
}

size_t find_last_part(std::string_view text, std::string_view part) {
  // Backwards, because many overlapping occurrences from the left would take quadratic time.
  const std::string backwards(text.rbegin(), text.rend());
  const size_t at = find_part(backwards, std::string(part.rbegin(), part.rend()));
  return at == std::string_view::npos ? at : text.size() - at - part.size();
}

std::string_view strip(std::string_view text, Sides sides, std::optional<std::string_view> chars) {
  std::u32string set = decode(chars.value_or(""));
  std::sort(set.begin(), set.end());
  const auto goes = [&](char32_t c) {
    return chars ? std::binary_search(set.begin(), set.end(), c) : is_space(c);
  };
  while (sides != Sides::kRight && !text.empty()) {
    const Decoded first = decode_at(text, 0);
    if (!goes(first.value)) break;
    text.remove_prefix(first.bytes);
  }
  while (sides != Sides::kLeft && !text.empty()) {
    const size_t last = last_code_point(text);
    if (!goes(decode_at(text, last).value)) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

std::string replaced(Runtime& run, std::string_view text, std::string_view old,
                     std::string_view replacement, int64_t most) {
  run.scan(text.size());
  if (old.empty()) return interspersed(run, text, replacement, most_splits(most));
  TextBuilder out(run);
  size_t begin = 0;
  for (size_t done = 0; done < most_splits(most); ++done) {
    const size_t at = find_part(text, old, begin);
    if (at == std::string_view::npos) break;
    out.append(text.substr(begin, at - begin));
    out.append(replacement);
    begin = at + old.size();
  }
  out.append(text.substr(begin));
  return out.take();
}

Pieces split(Runtime& run, std::string_view text, std::optional<std::string_view> separator,
             int64_t most) {
  run.scan(text.size());
  if (!separator) return split_words(run, text, most_splits(most));
  const auto cuts = find_parts(run, text, *separator, most_splits(most));
  return pieces_between(run, text, cuts, separator->size());
}

Pieces split_from_right(Runtime& run, std::string_view text,
                        std::optional<std::string_view> separator, int64_t most) {
  run.scan(text.size());
  if (!separator) return split_words_from_right(run, text, most_splits(most));
  const auto cuts = find_parts_from_right(run, text, *separator, most_splits(most));
  return pieces_between(run, text, cuts, separator->size());
}

Pieces split_lines(Runtime& run, std::string_view text, LineEnds ends) {
  run.scan(text.size());
  Pieces out;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const Decoded d = decode_at(text, at);
    size_t next = at + d.bytes;
    if (is_line_end(d.value)) {
      if (text[at] == '\r' && next < text.size() && text[next] == '\n') ++next;
      grow(run, out, text.substr(begin, (ends == LineEnds::kKeep ? next : at) - begin));
      begin = next;
    }
    at = next;
  }
  if (begin < text.size()) out.push_back(text.substr(begin));
  return out;
}

std::string padded(Runtime& run, std::string_view text, int64_t width, Sides sides,
                   std::string_view fill) {
  const auto length = static_cast<int64_t>(count_code_points(text));
  const int64_t room = std::max<int64_t>(width - length, 0);
  // Python puts the odd blank of center() on the left where the width is odd too.
  const int64_t left = sides == Sides::kLeft    ? room
                       : sides == Sides::kRight ? 0
                                                : room / 2 + (room & width & 1);
  run.check_text(static_cast<size_t>(room));
  run.check_text(static_cast<size_t>(room) * fill.size() + text.size());
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += text;
  for (int64_t i = left; i < room; ++i) out += fill;
  return out;
}

std::string joined(Runtime& run, std::string_view separator, const std::vector<Value>& values) {
  TextBuilder out(run);
  for (size_t i = 0; i < values.size(); ++i) {
    run.step();
    if (!values[i].is_text()) {
      throw failure("sequence item {}: expected str instance, {} found", i, type_name(values[i]));
    }
    if (i > 0) out.append(separator);
    out.append(values[i].bytes());
  }
  return out.take();
}

Value list_of_texts(Runtime& run, const Pieces& pieces) {
  std::vector<Value> out;
  for (const std::string_view piece : pieces) grow(run, out, run.text(std::string(piece)));
  return run.list(std::move(out));
}

}  // namespace fathom::text::jinja
