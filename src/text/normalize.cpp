#include "text/normalize.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "text/utf8.h"

namespace fathom::text {
namespace {

// utf8proc sorts combining characters in quadratic time, so it gets no more than this at once.
constexpr size_t kMostBytes = 1024;
constexpr size_t kWishedBytes = 512;

// Whether the character never becomes one with what stands before it: not a mark, and not a Korean
// vowel or final consonant.
bool stands_alone(char32_t c) {
  if ((c >= 0x1160 && c <= 0x11FF) || (c >= 0xD7B0 && c <= 0xD7FF)) return false;
  const auto code = static_cast<utf8proc_int32_t>(c);
  const auto category = utf8proc_category(code);
  return utf8proc_get_property(code)->combining_class == 0 && category != UTF8PROC_CATEGORY_MN &&
         category != UTF8PROC_CATEGORY_MC;
}

class NfcWriter {
 public:
  explicit NfcWriter(std::string_view text) : rest_(text) {}

  std::string write() {
    while (at_ < rest_.size()) step(decode_utf8(rest_.substr(at_)));
    flush();
    return std::move(out_);
  }

 private:
  void step(const Utf8Char& c) {
    if (c.status != Utf8Status::kValid) {
      flush();
      out_ += rest_.substr(0, c.length);
      rest_.remove_prefix(c.length);
      return;
    }
    const bool ascii = c.code < 0x80;
    if (ascii || at_ >= kMostBytes || (at_ >= kWishedBytes && stands_alone(c.code))) flush();
    only_ascii_ = only_ascii_ && ascii;
    at_ += c.length;
  }

  // Writes what lies before at_ and begins anew there.
  void flush() {
    const std::string_view part = rest_.substr(0, at_);
    if (only_ascii_) {
      out_ += part;
    } else {
      append_normalized(part);
    }
    rest_.remove_prefix(at_);
    at_ = 0;
    only_ascii_ = true;
  }

  void append_normalized(std::string_view part) {
    utf8proc_uint8_t* raw = nullptr;
    const auto size =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(part.data()),
                     static_cast<utf8proc_ssize_t>(part.size()), &raw,
                     static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owned(raw, &std::free);
    if (size < 0) throw std::bad_alloc();  // the bytes are valid: nothing else can go wrong
    out_.append(reinterpret_cast<const char*>(raw), static_cast<size_t>(size));
  }

  std::string_view rest_;
  size_t at_ = 0;  // in rest_
  bool only_ascii_ = true;
  std::string out_;
};

}  // namespace

std::string to_nfc(std::string_view text) { return NfcWriter(text).write(); }

}  // namespace fathom::text
