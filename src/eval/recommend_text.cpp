#include "eval/recommend_text.h"

#include <algorithm>

#include "base/error.h"
#include "eval/haystack.h"
#include "eval/library.h"

namespace fathom::eval {
namespace {

using engine::TokenId;

constexpr size_t kFacts = 8;
constexpr uint64_t kSeed = 20240917;
const text::EncodeOptions kBare{.add = text::AddSpecial::kNever};

// The sentences with the facts between them, at even distances.
std::string with_facts(const std::vector<std::string>& sentences, const std::vector<Fact>& facts) {
  std::string out;
  size_t next = 0;
  for (size_t i = 0; i < sentences.size(); ++i) {
    while (next < facts.size() && i * facts.size() >= (2 * next + 1) * sentences.size() / 2) {
      out += facts[next++].sentence() + " ";
    }
    out += sentences[i];
  }
  while (next < facts.size()) out += facts[next++].sentence() + " ";  // of a short text
  return out;
}

// Sentences as long as `tokens` tokens together.
std::vector<std::string> sentences_of(ProseStream& prose, size_t tokens,
                                      const text::Tokenizer& tokenizer) {
  std::vector<std::string> out;
  for (size_t have = 0, i = 0; have < tokens; ++i) {
    out.push_back(prose.at(i));
    have += tokenizer.encode(out.back(), kBare).size();
  }
  return out;
}

}  // namespace

std::vector<Window> make_windows(const text::Tokenizer& tokenizer, const WindowPlan& plan,
                                 const std::string& own) {
  Library library;
  size_t windows = plan.windows;
  if (!own.empty()) {
    const size_t tokens = tokenizer.encode(own).size();
    windows = std::min(windows, tokens / plan.length);
    if (windows == 0) {
      throw with_hint(
          usage_error("--file", "{} tokens are too few to measure on {}", tokens, plan.length),
          "give a longer text, or none: prose is generated then");
    }
    library = Library({parse_book(own, "--file")});
  }
  std::vector<Window> out;
  for (size_t w = 0; w < windows; ++w) {
    const std::vector<Fact> facts =
        make_haystack({.seed = kSeed + w, .characters = 4000, .facts = kFacts}).facts;
    std::string again;
    for (size_t i = 0; i < facts.size(); ++i) {
      again += (i == 0 ? "" : " ") + facts[(i * 5 + 3) % facts.size()].sentence();
    }
    Window window;
    window.facts = tokenizer.encode(again, kBare);
    const size_t rest = plan.length > 3 * window.facts.size()
                            ? plan.length - 2 * window.facts.size()
                            : plan.length / 2;
    ProseStream prose(library, Random(mix_seeds({kSeed, w})));
    window.text =
        tokenizer.encode(with_facts(sentences_of(prose, rest, tokenizer), facts) + "\n\n");
    out.push_back(std::move(window));
  }
  return out;
}

}  // namespace fathom::eval
