#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>

#include "base/error.h"

namespace fathom::text {
namespace {

constexpr size_t kMaxSource = 1 << 16;  // bytes; the longest that real models use has 2,000
constexpr size_t kJitStack = 8 << 20;
constexpr uint32_t kHeapKib = 512 << 10;

// Steps that one search may take: a sane pattern needs a few a byte, an exponential one has no end.
uint32_t step_limit(size_t bytes) {
  constexpr size_t kMost = std::numeric_limits<uint32_t>::max();
  return static_cast<uint32_t>(std::min(kMost, 20'000 + 32 * std::min(bytes, kMost)));
}

// Unicode's White_Space, as the inside of a character class.
constexpr std::string_view kWhiteSpace =
    R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

// Writes \s and \S out: PCRE2's own also hold U+180E, which has not been white space since Unicode
// 6.3, and a written-out class is faster than a property.
class WhiteSpaceWriter {
 public:
  explicit WhiteSpaceWriter(std::string_view source) : source_(source) {}

  std::string write() {
    while (at_ < source_.size()) step();
    return std::move(out_);
  }

 private:
  void step() {
    const char c = source_[at_];
    if (c == '\\' && at_ + 1 < source_.size()) return escape();
    if (c == '[' && !in_class_) {
      in_class_ = true;
      take(source_.substr(at_, 3) == "[^]" ? 3 : source_.substr(at_, 2) == "[]" ? 2 : 1);
    } else if (c == '[') {
      take(posix_class_length());
    } else {
      if (c == ']') in_class_ = false;
      take(1);
    }
  }

  // "[:alpha:]" inside a class is one item, whose ']' does not end the class; other '[' are text.
  size_t posix_class_length() const {
    if (source_.substr(at_, 2) != "[:") return 1;
    size_t end = at_ + 2;
    while (end < source_.size() &&
           (source_[end] == '^' || (source_[end] >= 'a' && source_[end] <= 'z')))
      ++end;
    return source_.substr(end, 2) == ":]" ? end + 2 - at_ : 1;
  }

  void escape() {
    const char kind = source_[at_ + 1];
    if (kind != 's' && kind != 'S') return take(2);
    if (kind == 'S' && in_class_) {
      out_ += R"(\P{WSpace})";
    } else if (in_class_) {
      out_ += kWhiteSpace;
    } else {
      out_.append(kind == 's' ? "[" : "[^").append(kWhiteSpace).append("]");
    }
    at_ += 2;
  }

  void take(size_t bytes) {
    out_ += source_.substr(at_, bytes);
    at_ += bytes;
  }

  std::string_view source_;
  size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

std::string message_of(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

PCRE2_SPTR bytes_of(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

template <class T>
T info_of(const pcre2_code* code, uint32_t what) {
  T value{};
  pcre2_pattern_info(code, what, &value);
  return value;
}

}  // namespace

void Pattern::Free::operator()(pcre2_code* code) const { pcre2_code_free(code); }
void PatternSearch::Free::operator()(pcre2_match_context* context) const {
  pcre2_match_context_free(context);
}
void PatternSearch::Free::operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
void PatternSearch::Free::operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }

Pattern::Pattern(std::string_view source, Engine engine) : source_(source) {
  if (source.size() > kMaxSource) {
    throw unsupported("pre-tokenizer", "a pattern of {} bytes; {} are allowed", source.size(),
                      kMaxSource);
  }
  const std::string expanded = WhiteSpaceWriter(source).write();
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_.reset(pcre2_compile(bytes_of(expanded), expanded.size(),
                            PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                            nullptr));
  if (!code_) {
    throw unsupported("pre-tokenizer", "the pattern '{}' is not understood: {}", source,
                      message_of(error));
  }
  if (engine == Engine::kFastest) jit_ = pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE) == 0;
  learn_first_bytes();
}

void Pattern::learn_first_bytes() {
  const auto* bits = info_of<const uint8_t*>(code_.get(), PCRE2_INFO_FIRSTBITMAP);
  for (size_t byte = 0; byte < first_bytes_.size(); ++byte) {
    first_bytes_[byte] = bits == nullptr || (bits[byte / 8] >> (byte % 8) & 1) != 0;
  }
}

bool Pattern::may_match(std::string_view text) const {
  return std::any_of(text.begin(), text.end(),
                     [this](char c) { return first_bytes_[static_cast<uint8_t>(c)]; });
}

PatternSearch::PatternSearch(const Pattern& pattern)
    : pattern_(&pattern),
      context_(pcre2_match_context_create(nullptr)),
      data_(pcre2_match_data_create(1, nullptr)) {
  if (!context_ || !data_) throw std::bad_alloc();
  pcre2_set_heap_limit(context_.get(), kHeapKib);
}

std::optional<PatternSearch::Match> PatternSearch::find(std::string_view text, size_t from) {
  pcre2_set_match_limit(context_.get(), step_limit(text.size()));
  int result = run(text, from);
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = run_with_more_memory(text, from);
  if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data_.get());
  if (result < 0 || bounds[0] < from || bounds[1] < bounds[0] || bounds[1] > text.size()) {
    throw unsupported("pre-tokenizer", "the pattern '{}' gives up on this text: {}",
                      pattern_->source_, result < 0 ? message_of(result) : "a match out of order");
  }
  return Match{bounds[0], bounds[1]};
}

int PatternSearch::run(std::string_view text, size_t from) {
  if (pattern_->jit_) {
    return pcre2_jit_match(pattern_->code_.get(), bytes_of(text), text.size(), from,
                           PCRE2_NO_UTF_CHECK, data_.get(), context_.get());
  }
  return pcre2_match(pattern_->code_.get(), bytes_of(text), text.size(), from, PCRE2_NO_UTF_CHECK,
                     data_.get(), context_.get());
}

int PatternSearch::run_with_more_memory(std::string_view text, size_t from) {
  if (!stack_) {
    stack_.reset(pcre2_jit_stack_create(32 << 10, kJitStack, nullptr));
    if (!stack_) throw std::bad_alloc();
    pcre2_jit_stack_assign(context_.get(), nullptr, stack_.get());
  }
  const int result = run(text, from);
  if (result != PCRE2_ERROR_JIT_STACKLIMIT) return result;
  return pcre2_match(pattern_->code_.get(), bytes_of(text), text.size(), from,
                     PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data_.get(), context_.get());
}

}  // namespace fathom::text
