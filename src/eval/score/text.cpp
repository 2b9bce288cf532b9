#include "eval/score/text.h"

#include <utf8proc.h>

#include <algorithm>

#include "text/utf8.h"

namespace fathom::eval {
namespace {

constexpr std::string_view kSpace = " \t\n\r\f\v";

bool ascii_letter_or_digit(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

}  // namespace

std::string lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const text::Utf8Char c = text::decode_utf8(text);
    if (c.status != text::Utf8Status::kValid) {
      out += text.substr(0, c.length);
    } else if (c.code < 0x80) {
      out += static_cast<char>(c.code >= 'A' && c.code <= 'Z' ? c.code + 32 : c.code);
    } else {
      text::append_utf8(
          static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c.code))), out);
    }
    text.remove_prefix(c.length);
  }
  return out;
}

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  return lower(text).find(lower(part)) != std::string::npos;
}

std::string clean_output(std::string_view output) {
  std::string out(output);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return std::string(trim(out));
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> out;
  while (true) {
    const size_t begin = text.find_first_not_of(separators);
    if (begin == std::string_view::npos) return out;
    text.remove_prefix(begin);
    const size_t end = std::min(text.find_first_of(separators), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::vector<std::string> characters(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t n = text::decode_utf8(text).length;
    out.emplace_back(text.substr(0, n));
    text.remove_prefix(n);
  }
  return out;
}

bool is_punctuation(std::string_view character) {
  const text::Utf8Char c = text::decode_utf8(character);
  if (c.status != text::Utf8Status::kValid) return false;
  if (c.code < 0x80) {
    return c.code > 0x20 && c.code < 0x7f &&
           !ascii_letter_or_digit(static_cast<unsigned char>(c.code));
  }
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c.code));
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

bool is_space(std::string_view character) {
  const text::Utf8Char c = text::decode_utf8(character);
  if (c.status != text::Utf8Status::kValid) return false;
  if (c.code < 0x80) return kSpace.find(static_cast<char>(c.code)) != std::string_view::npos;
  return utf8proc_category(static_cast<utf8proc_int32_t>(c.code)) == UTF8PROC_CATEGORY_ZS;
}

}  // namespace fathom::eval
