// A regular expression over UTF-8, as tokenizer files write them: PCRE2 in Unicode mode, except
// that \s and \S mean Unicode's White_Space, as they do where the patterns come from.
//
// Compiled to machine code where the system's PCRE2 can. A Pattern is immutable and may be used
// from any thread; a PatternSearch holds the memory that matching needs, one a thread.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct pcre2_real_code_8;
struct pcre2_real_match_context_8;
struct pcre2_real_match_data_8;
struct pcre2_real_jit_stack_8;

namespace fathom::text {

class Pattern {
 public:
  enum class Engine { kFastest, kInterpreter };

  // Throws Error(kUnsupported) where the source is not a pattern that PCRE2 knows.
  explicit Pattern(std::string_view source, Engine engine = Engine::kFastest);

  // false: no match begins anywhere in the text. Much cheaper than searching.
  bool may_match(std::string_view text) const;

 private:
  friend class PatternSearch;
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };

  void learn_first_bytes();

  std::string source_;
  std::unique_ptr<pcre2_real_code_8, Free> code_;
  bool jit_ = false;
  std::array<bool, 256> first_bytes_{};  // a match begins with one of these
};

class PatternSearch {
 public:
  struct Match {
    size_t begin = 0;
    size_t end = 0;  // == begin: the pattern matched the empty string
  };

  // The pattern must outlive the search.
  explicit PatternSearch(const Pattern& pattern);

  const Pattern& pattern() const { return *pattern_; }

  // The first match at or after `from`. Throws Error(kUnsupported) where the pattern needs more
  // steps than any sane one would. REQUIRES: valid UTF-8; `from` at a character's beginning.
  std::optional<Match> find(std::string_view text, size_t from);

 private:
  struct Free {
    void operator()(pcre2_real_match_context_8* context) const;
    void operator()(pcre2_real_match_data_8* data) const;
    void operator()(pcre2_real_jit_stack_8* stack) const;
  };

  int run(std::string_view text, size_t from);
  int run_with_more_memory(std::string_view text, size_t from);

  const Pattern* pattern_;
  std::unique_ptr<pcre2_real_match_context_8, Free> context_;
  std::unique_ptr<pcre2_real_match_data_8, Free> data_;
  std::unique_ptr<pcre2_real_jit_stack_8, Free> stack_;  // made when the small one was not enough
};

}  // namespace fathom::text
