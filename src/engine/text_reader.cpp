#include "engine/text_reader.h"

#include <algorithm>

#include "base/error.h"
#include "model/forward.h"
#include "text/sentence.h"

namespace fathom::engine {
namespace {

// Longer sentences (tables, code) are cut.
constexpr size_t kMostTokens = 256;
// An end is certain when a whole word follows it, or so many bytes: Splitter looks no further.
constexpr size_t kCertainBytes = 64;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Whether more text cannot move or remove the end at this byte.
bool certain(std::string_view text, size_t end) {
  if (text.size() - end >= kCertainBytes) return true;
  bool word = false;
  for (const char c : text.substr(end)) {
    if (word && is_space(c)) return true;
    word |= !is_space(c);
  }
  return false;
}

// Ends that are certain, without the blanks before them: these belong to the next sentence's first
// token.
std::vector<size_t> certain_ends(std::string_view text) {
  std::vector<size_t> ends;
  for (size_t end : text::sentence_ends(text)) {
    if (!certain(text, end)) break;
    while (end > 0 && is_space(text[end - 1])) --end;
    if (end > 0) ends.push_back(end);
  }
  return ends;
}

// Ends in tokens, ascending; no sentence is longer than kMostTokens.
std::vector<size_t> token_ends(const kv::KnownText& text) {
  std::vector<size_t> out;
  const auto cut_until = [&](size_t end) {
    for (size_t last = out.empty() ? 0 : out.back(); last + kMostTokens < end;) {
      out.push_back(last += kMostTokens);
    }
  };
  for (const int32_t end : text::sentence_token_ends(certain_ends(text.open), text.open_ends)) {
    cut_until(static_cast<size_t>(end));
    out.push_back(static_cast<size_t>(end));
  }
  // What is certain by now about all ends that the cut could come before.
  const size_t tokens = text.open_ends.size();
  cut_until(tokens - std::min(tokens, kCertainBytes));
  return out;
}

// Forgets the first tokens of the open text.
void drop(kv::KnownText& text, size_t tokens) {
  const size_t bytes = text.open_ends[tokens - 1];
  text.open.erase(0, bytes);
  text.open_ends.erase(text.open_ends.begin(),
                       text.open_ends.begin() + static_cast<std::ptrdiff_t>(tokens));
  for (size_t& end : text.open_ends) end -= bytes;
}

}  // namespace

TextReader::TextReader(const kv::Policy& policy, TokenText piece) : piece_(std::move(piece)) {
  if (policy.keep) surprise_ |= policy.keep->needs().surprise;
  if (!policy.fetch) return;
  surprise_ |= policy.fetch->needs().surprise;
  sentences_ = policy.fetch->needs().sentences;
  if (sentences_ && !piece_) {
    throw unsupported("--kv", "'{}' asks where sentences end, and no tokenizer is there to say",
                      policy.line);
  }
}

void TextReader::before(kv::KnownText& text, std::span<const int32_t> tokens) const {
  if (sentences_) read_sentences(text, tokens);
  if (!surprise_) return;
  text.surprise.push_back(
      text.next.empty() ? 0.0f : model::minus_log_probability(text.next, tokens.front()));
}

void TextReader::after(kv::KnownText& text, std::span<const float> surprise,
                       std::span<const float> next) {
  text.surprise.insert(text.surprise.end(), surprise.begin(), surprise.end());
  text.next.assign(next.begin(), next.end());
}

void TextReader::read_sentences(kv::KnownText& text, std::span<const int32_t> tokens) const {
  for (const int32_t id : tokens) {
    text.open += piece_(id);
    text.open_ends.push_back(text.open.size());
  }
  const std::vector<size_t> ends = token_ends(text);
  if (ends.empty()) return;
  const int32_t begin = text.open_begin;
  for (const size_t end : ends) text.sentence_ends.push_back(begin + static_cast<int32_t>(end));
  text.open_begin += static_cast<int32_t>(ends.back());
  drop(text, ends.back());
}

}  // namespace fathom::engine
