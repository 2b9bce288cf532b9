#include "text/pretokenizer.h"

#include "base/error.h"
#include "text/pretokenizer_patterns.h"
#include "text/utf8.h"

namespace fathom::text {
namespace {

// Stands for each byte that is not UTF-8 while patterns look at the text: a control character,
// which no pattern treats as letter, digit, punctuation or white space.
constexpr char kSubstitute = '\x1A';

constexpr size_t kMaxPatterns = 32;  // the most that a real tokenizer uses is 6

std::string with_substitutes(std::string_view text) {
  std::string out(text);
  for (size_t at = 0; at < out.size();) {
    const Utf8Char c = decode_utf8(text.substr(at));
    if (c.status != Utf8Status::kValid) out.replace(at, c.length, c.length, kSubstitute);
    at += c.length;
  }
  return out;
}

class Splitter {
 public:
  Splitter(std::span<const Pattern> steps, Pretokenizer::Piece piece) : piece_(piece) {
    searches_.reserve(steps.size());
    for (const Pattern& step : steps) searches_.emplace_back(step);
  }

  // Gives `text` to the patterns from `step` on.
  void split(std::string_view text, size_t step) {
    if (text.empty()) return;
    while (step < searches_.size() && !searches_[step].pattern().may_match(text)) ++step;
    if (step == searches_.size()) return piece_(text);
    size_t done = 0;
    for (size_t from = 0; from < text.size();) {
      const auto match = searches_[step].find(text, from);
      if (!match) break;
      split(text.substr(done, match->begin - done), step + 1);
      split(text.substr(match->begin, match->end - match->begin), step + 1);
      done = from = match->end;
      // An empty match is a cut; the search goes on behind the next character.
      if (match->begin == match->end && from < text.size()) {
        from += decode_utf8(text.substr(from)).length;
      }
    }
    split(text.substr(done), step + 1);
  }

 private:
  Pretokenizer::Piece piece_;
  std::vector<PatternSearch> searches_;
};

}  // namespace

Pretokenizer Pretokenizer::named(std::string_view name, Pattern::Engine engine) {
  if (const PretokenizerFacts* facts = find_pretokenizer(name)) {
    return Pretokenizer(facts->patterns, engine);
  }
  std::string known;
  for (const PretokenizerFacts& facts : all_pretokenizers()) {
    known.append(known.empty() ? "known: " : ", ").append(facts.name);
  }
  throw with_hint(unsupported("tokenizer.ggml.pre", "the pre-tokenizer '{}' is not known", name),
                  known);
}

Pretokenizer::Pretokenizer(std::span<const std::string_view> patterns, Pattern::Engine engine) {
  if (patterns.size() > kMaxPatterns) {
    throw unsupported("pre-tokenizer", "{} patterns; {} are allowed", patterns.size(),
                      kMaxPatterns);
  }
  for (const std::string_view pattern : patterns) steps_.emplace_back(pattern, engine);
}

void Pretokenizer::split(std::string_view text, Piece piece) const {
  if (is_valid_utf8(text)) return Splitter(steps_, piece).split(text, 0);
  const std::string clean = with_substitutes(text);
  size_t at = 0;
  const auto original = [&](std::string_view part) {
    piece(text.substr(at, part.size()));
    at += part.size();
  };
  Splitter(steps_, original).split(clean, 0);
}

}  // namespace fathom::text
