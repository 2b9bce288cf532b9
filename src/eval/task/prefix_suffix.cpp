// SCBench's Retr.Prefix-Suffix: a list of random strings; a turn gives a beginning and an end, and
// asks for the only string that has both. Others share just one end, so that looking for either
// alone leads astray.
#include <algorithm>

#include "base/error.h"
#include "eval/task/tasks.h"
#include "eval/task/words.h"

namespace fathom::eval {
namespace {

constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr size_t kEnd = 5;          // characters of a prefix or suffix
constexpr size_t kDistractors = 4;  // with each of the two ends

struct Ends {
  std::string prefix, suffix;
  bool match(const std::string& s) const { return s.starts_with(prefix) && s.ends_with(suffix); }
};

std::string body(Random& random) { return random.text(kAlphabet, 10 + random.below(81)); }

// A string no query asks for, with the ends given; an empty one is drawn.
std::string other(Random& random, const std::vector<Ends>& asked, const Ends& ends) {
  for (;;) {
    const auto end = [&](const std::string& given) {
      return given.empty() ? random.text(kAlphabet, kEnd) : given;
    };
    std::string s = end(ends.prefix);
    s += body(random);
    s += end(ends.suffix);
    if (std::none_of(asked.begin(), asked.end(), [&](const Ends& e) { return e.match(s); })) {
      return s;
    }
  }
}

std::string quoted(const std::string& s) { return "\"" + s + "\"\n"; }

// With a body that an answer has room for.
std::string target(const Ends& ends, const Draw& draw, Random& random) {
  std::string inner = body(random);
  const auto whole = [&] { return ends.prefix + inner + ends.suffix; };
  while (inner.size() > 1 && draw.meter->tokens(whole()) + 8 > answer_tokens(draw)) {
    inner.pop_back();
  }
  return whole();
}

}  // namespace

Instance make_prefix_suffix(const Draw& draw) {
  Random facts = draw.facts(), haystack = draw.haystack();
  Unique unique;
  std::vector<Ends> asked;
  for (size_t t = 0; t < draw.turns; ++t) {
    asked.push_back({unique.draw([&] { return facts.text(kAlphabet, kEnd); }),
                     unique.draw([&] { return facts.text(kAlphabet, kEnd); })});
  }
  Instance base;
  base.instruction =
      "Below is a list of strings, one a line. You will be asked for the string that has a given "
      "beginning and a given end.";
  std::vector<Insert> inserts;
  for (size_t t = 0; t < draw.turns; ++t) {
    Turn& turn = base.turns.emplace_back();
    turn.input = fmt::format("Which string starts with \"{}\" and ends with \"{}\"?",
                             asked[t].prefix, asked[t].suffix);
    turn.answer_prefix = "It is";
    turn.answers = {target(asked[t], draw, facts)};
    inserts.push_back({quoted(turn.answers[0]), facts.unit(), {t}});
    for (size_t i = 0; i < kDistractors; ++i) {
      for (const Ends& ends : {Ends{asked[t].prefix, ""}, Ends{"", asked[t].suffix}}) {
        inserts.push_back({quoted(other(facts, asked, ends)), facts.unit(), {}});
      }
    }
  }
  std::vector<std::string> lines;
  return fit(draw, [&](size_t units, size_t) {
    while (lines.size() < units) lines.push_back(quoted(other(haystack, asked, {})));
    Instance out = base;
    weave(std::span(lines).first(units), inserts, out);
    return out;
  });
}

}  // namespace fathom::eval
