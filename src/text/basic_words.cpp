#include "text/basic_words.h"

#include <utf8proc.h>

#include <array>

#include "text/utf8.h"

namespace fathom::text {
namespace {

bool is_white_space(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    default:
      return c == '\t' || c == '\n' || c == '\r';
  }
}

// Left out of the text: control and format characters, private use, unassigned, U+FFFD.
bool is_dropped(char32_t c) {
  if (c == 0xFFFD) return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CS:
      return true;
    default:
      return false;
  }
}

bool is_punctuation(char32_t c) {
  const bool ascii = (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
                     (c >= '{' && c <= '~');
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return ascii || (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO);
}

// The blocks that BERT's authors called Chinese.
bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B820 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

class BasicWords {
 public:
  explicit BasicWords(FunctionRef<void(std::string_view)> word) : word_(word) {}

  void split(std::string_view text) {
    while (!text.empty()) {
      const Utf8Char c = decode_utf8(text);
      text.remove_prefix(c.length);
      if (c.status == Utf8Status::kValid) take(c.code);
    }
    end_word();
  }

 private:
  void take(char32_t c) {
    if (is_white_space(c)) return end_word();
    if (is_dropped(c)) return;
    const bool alone = is_chinese(c);
    if (alone) end_word();
    take_decomposed(c);
    if (alone) end_word();
  }

  void take_decomposed(char32_t c) {
    std::array<utf8proc_int32_t, 32> parts;  // the longest canonical decomposition has 4
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts.data(),
                                               parts.size(), UTF8PROC_DECOMPOSE, nullptr);
    for (utf8proc_ssize_t i = 0; i < count; ++i) {
      if (utf8proc_category(parts[i]) == UTF8PROC_CATEGORY_MN) continue;
      const bool alone = is_punctuation(static_cast<char32_t>(parts[i]));
      if (alone) end_word();
      append_utf8(static_cast<char32_t>(utf8proc_tolower(parts[i])), current_);
      if (alone) end_word();
    }
  }

  void end_word() {
    if (!current_.empty()) word_(current_);
    current_.clear();
  }

  FunctionRef<void(std::string_view)> word_;
  std::string current_;
};

}  // namespace

void split_basic_words(std::string_view text, FunctionRef<void(std::string_view)> word) {
  BasicWords(word).split(text);
}

}  // namespace fathom::text
