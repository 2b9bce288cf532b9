#include "text/sentence.h"

#include <algorithm>
#include <array>
#include <string>

namespace fathom::text {
namespace {

using namespace std::string_view_literals;

// Lower case, without the last full stop; sorted.
constexpr std::array kAbbreviations = {
    "a.k.a"sv, "adm"sv,  "al"sv,   "apr"sv,  "approx"sv, "apt"sv,  "art"sv,    "aug"sv,  "ave"sv,
    "bd"sv,    "bldg"sv, "blvd"sv, "bros"sv, "ca"sv,     "capt"sv, "cf"sv,     "ch"sv,   "cir"sv,
    "cit"sv,   "cmdr"sv, "co"sv,   "col"sv,  "conf"sv,   "corp"sv, "cpl"sv,    "ct"sv,   "dec"sv,
    "dept"sv,  "dist"sv, "dr"sv,   "e.g"sv,  "ed"sv,     "eds"sv,  "eq"sv,     "eqs"sv,  "esp"sv,
    "esq"sv,   "est"sv,  "et"sv,   "etc"sv,  "ex"sv,     "feb"sv,  "fed"sv,    "fig"sv,  "figs"sv,
    "ft"sv,    "gen"sv,  "gov"sv,  "hon"sv,  "i.e"sv,    "ibid"sv, "inc"sv,    "jan"sv,  "jr"sv,
    "jul"sv,   "jun"sv,  "lt"sv,   "ltd"sv,  "maj"sv,    "mar"sv,  "messrs"sv, "misc"sv, "mr"sv,
    "mrs"sv,   "ms"sv,   "mt"sv,   "nos"sv,  "nov"sv,    "oct"sv,  "op"sv,     "p"sv,    "para"sv,
    "pp"sv,    "pres"sv, "prof"sv, "pt"sv,   "rd"sv,     "ref"sv,  "refs"sv,   "rep"sv,  "rev"sv,
    "sec"sv,   "secs"sv, "sen"sv,  "sep"sv,  "sept"sv,   "sgt"sv,  "sr"sv,     "st"sv,   "subsec"sv,
    "supp"sv,  "univ"sv, "viz"sv,  "vol"sv,  "vols"sv,   "vs"sv};
// Abbreviations that a name or number follows, so that a capital after them begins nothing.
constexpr std::array kBeforeNames = {
    "adm"sv,  "art"sv, "capt"sv, "cf"sv,   "ch"sv,     "cmdr"sv, "col"sv, "cpl"sv,
    "dr"sv,   "e.g"sv, "eq"sv,   "eqs"sv,  "fig"sv,    "figs"sv, "gen"sv, "gov"sv,
    "hon"sv,  "i.e"sv, "lt"sv,   "maj"sv,  "messrs"sv, "mr"sv,   "mrs"sv, "ms"sv,
    "mt"sv,   "p"sv,   "pp"sv,   "pres"sv, "prof"sv,   "rep"sv,  "rev"sv, "sec"sv,
    "secs"sv, "sen"sv, "sgt"sv,  "st"sv,   "vol"sv,    "vols"sv, "vs"sv};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_word(char c) {
  return is_digit(c) || is_lower(c) || is_upper(c) || static_cast<unsigned char>(c) >= 0x80;
}

// The length of one of `pieces` that `text` begins with, or 0.
size_t one_of(std::string_view text, std::span<const std::string_view> pieces) {
  for (const std::string_view p : pieces) {
    if (text.substr(0, p.size()) == p) return p.size();
  }
  return 0;
}
constexpr std::string_view kWideStops[] = {"\u3002", "\uff01", "\uff1f", "\uff0e"};
constexpr std::string_view kEllipsis[] = {"\u2026"};
constexpr std::string_view kClosing[] = {"\"",     "'",      ")",      "]",      "}",
                                         "\u201d", "\u2019", "\u00bb", "\u300d", "\u300f"};
constexpr std::string_view kOpening[] = {"\"", "'", "(", "[", "{", "\u201c", "\u2018", "\u00ab"};

template <size_t n>
bool listed(const std::array<std::string_view, n>& words, std::string_view word) {
  if (word.size() > 8) return false;
  char lower[8];
  for (size_t i = 0; i < word.size(); ++i) {
    lower[i] = is_upper(word[i]) ? static_cast<char>(word[i] + 32) : word[i];
  }
  return std::find(words.begin(), words.end(), std::string_view(lower, word.size())) != words.end();
}

class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  std::vector<size_t> split() {
    while (at_ < text_.size()) {
      const std::string_view rest = text_.substr(at_);
      if (rest[0] == '\n') {
        read_lines();
      } else if (const size_t wide = one_of(rest, kWideStops); wide > 0) {
        end_after(at_ + wide);
      } else if (rest[0] == '!' || rest[0] == '?') {
        read_marks();
      } else if (rest[0] == '.' || one_of(rest, kEllipsis) > 0) {
        read_stops();
      } else {
        ++at_;
      }
    }
    if (!text_.empty() && (ends_.empty() || ends_.back() != text_.size())) {
      ends_.push_back(text_.size());
    }
    return std::move(ends_);
  }

 private:
  char at(size_t i) const { return i < text_.size() ? text_[i] : ' '; }

  // What closes a sentence after its mark.
  size_t skip_closing(size_t i) const {
    for (size_t n = 1; n > 0 && i < text_.size(); i += n) n = one_of(text_.substr(i), kClosing);
    return std::min(i, text_.size());
  }
  size_t skip_opening(size_t i) const {
    for (size_t n = 1; n > 0 && i < text_.size(); i += n) n = one_of(text_.substr(i), kOpening);
    return std::min(i, text_.size());
  }
  size_t skip_spaces(size_t i) const {
    while (i < text_.size() && is_space(text_[i])) ++i;
    return i;
  }

  void end_after(size_t mark) {
    at_ = skip_spaces(skip_closing(mark));
    ends_.push_back(at_);
  }

  void read_marks() {
    while (at(at_) == '!' || at(at_) == '?') ++at_;
    const size_t closed = skip_closing(at_);
    if (closed == text_.size() || is_space(at(closed))) end_after(at_);
  }

  void read_stops() {
    const size_t begin = at_;
    size_t stops = 0;
    for (size_t n = 1; n > 0; at_ += n, stops += n) {
      n = at(at_) == '.' ? 1 : one_of(text_.substr(std::min(at_, text_.size())), kEllipsis);
    }
    const size_t closed = skip_closing(at_);
    if (closed < text_.size() && !is_space(text_[closed])) return;  // inside a word
    const size_t next = skip_opening(skip_spaces(closed));
    if (next < text_.size() && is_lower(text_[next])) return;
    if (stops == 1 && goes_on(word_before(begin), next)) return;
    end_after(at_);
  }

  std::string_view word_before(size_t end) const {
    size_t begin = end;
    while (begin > 0 && (is_word(text_[begin - 1]) || text_[begin - 1] == '.')) --begin;
    return text_.substr(begin, end - begin);
  }

  // Whether a single full stop after `word` is part of it rather than an end.
  bool goes_on(std::string_view word, size_t next) const {
    const bool name = is_upper(at(next)), number = is_digit(at(next));
    const bool initial = word.size() == 1 && is_upper(word[0]) && word != "I"sv;
    if (initial) return name;
    if (listed(kBeforeNames, word)) return name || number;
    if (listed(kAbbreviations, word)) return !name;
    const bool dotted = word.find('.') != std::string_view::npos && !is_digit(word[0]);
    return dotted && (number || next_is_name_part(next));
  }
  // "U.S. Navy" and "U.S.C. Sec.": a capital after a dotted word begins a sentence only if it is a
  // word that often does.
  bool next_is_name_part(size_t next) const {
    static constexpr std::array kStarters = {"a"sv,    "an"sv,   "and"sv, "but"sv,  "he"sv,
                                             "his"sv,  "if"sv,   "in"sv,  "it"sv,   "its"sv,
                                             "she"sv,  "so"sv,   "the"sv, "then"sv, "there"sv,
                                             "they"sv, "this"sv, "we"sv,  "when"sv, "you"sv};
    size_t end = next;
    while (end < text_.size() && is_word(text_[end])) ++end;
    return is_upper(at(next)) && !listed(kStarters, text_.substr(next, end - next));
  }

  // A blank line, or a list marker on the next line.
  void read_lines() {
    const size_t next = skip_spaces(at_);
    const bool blank = std::count(text_.begin() + static_cast<ptrdiff_t>(at_),
                                  text_.begin() + static_cast<ptrdiff_t>(next), '\n') > 1;
    const size_t begun = ends_.empty() ? 0 : ends_.back();
    at_ = next;
    if ((blank || is_marker(next)) && next > begun) ends_.push_back(next);
  }
  bool is_marker(size_t i) const {
    if (at(i) == '-' || at(i) == '*' || at(i) == '#') return is_space(at(i + 1)) || at(i) == '#';
    size_t end = i;
    while (is_digit(at(end)) && end < i + 3) ++end;
    return end > i && (at(end) == '.' || at(end) == ')') && is_space(at(end + 1));
  }

  std::string_view text_;
  size_t at_ = 0;
  std::vector<size_t> ends_;
};

}  // namespace

std::vector<size_t> sentence_ends(std::string_view text) { return Splitter(text).split(); }

std::vector<int32_t> sentence_token_ends(std::span<const size_t> sentence_ends,
                                         std::span<const size_t> token_ends) {
  std::vector<int32_t> out;
  for (const size_t end : sentence_ends) {
    // The token that covers the sentence's last byte is its last.
    const auto last = std::lower_bound(token_ends.begin(), token_ends.end(), end);
    const auto count = static_cast<int32_t>(last - token_ends.begin() + (last != token_ends.end()));
    if (count > 0 && (out.empty() || count > out.back())) out.push_back(count);
  }
  return out;
}

}  // namespace fathom::text
