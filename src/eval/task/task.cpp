#include "eval/task/task.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "eval/score/text.h"

namespace fathom::eval {
namespace {

enum Stream : uint64_t { kFacts = 1, kHaystack = 2 };

std::string session_text(const Instance& instance) {
  std::string out = instance.instruction + "\n\n" + instance.context;
  for (size_t i = 0; i < instance.turns.size(); ++i) {
    const Turn& t = instance.turns[i];
    out += "\n\n" + t.input + "\n" + t.answer_prefix;
    if (i + 1 == instance.turns.size()) break;
    for (const std::string& a : t.answers) out += " " + a;
  }
  return out;
}

// Of a text without the blanks at its ends, which is put at `at`. REQUIRES: it is not all blank.
Span span_of(size_t at, std::string_view text) {
  const std::string_view bare = trim(text);
  const size_t begin = at + static_cast<size_t>(bare.data() - text.data());
  return {begin, begin + bare.size()};
}

// Finds the largest n with measure(n) <= most; stops early at one of at least `enough`.
class Search {
 public:
  Search(size_t enough, size_t most) : enough_(enough), most_(most) {}

  // nullopt: not even 0 fits.
  std::optional<size_t> run(FunctionRef<size_t(size_t)> measure) {
    low_tokens_ = measure(0);
    if (low_tokens_ > most_) return std::nullopt;
    for (size_t step = 0; low_tokens_ < enough_ && high_ - low_ > 1; ++step) {
      const size_t n = next(step);
      const size_t tokens = measure(n);
      if (tokens <= most_) {
        if (tokens == low_tokens_ && high_ == SIZE_MAX && step > 20) break;  // it does not grow
        per_unit_ = double(tokens - std::min(tokens, low_tokens_)) / double(n - low_);
        low_ = n;
        low_tokens_ = tokens;
      } else {
        high_ = n;
        high_tokens_ = tokens;
      }
    }
    return low_;
  }

 private:
  // Aims between enough and most, by the slope seen so far; halves where that does not help.
  size_t next(size_t step) const {
    const double want = double(enough_ + most_) / 2 - double(low_tokens_);
    if (high_ == SIZE_MAX) {
      const double guess = per_unit_ > 0 ? std::clamp(want / per_unit_, 1.0, 1e7) : 8;
      return low_ + std::max<size_t>(1, static_cast<size_t>(guess));
    }
    if (step > 12) return low_ + (high_ - low_) / 2;
    const double slope = double(high_tokens_ - low_tokens_) / double(high_ - low_);
    const double guess = double(low_) + want / slope;
    return static_cast<size_t>(std::clamp(guess, double(low_ + 1), double(high_ - 1)));
  }

  size_t enough_, most_;
  size_t low_ = 0, high_ = SIZE_MAX;
  size_t low_tokens_ = 0, high_tokens_ = 0;
  double per_unit_ = 0;
};

}  // namespace

Random Draw::facts() const {
  return Random(mix_seeds(
      {seed, seed_of(task->suite), seed_of(task->name), index, kGeneratorVersion, kFacts}));
}

Random Draw::haystack() const { return Random(mix_seeds({instance_seed(), kHaystack})); }

uint64_t Draw::instance_seed() const {
  return mix_seeds(
      {seed, seed_of(task->suite), seed_of(task->name), length, index, kGeneratorVersion});
}

double Draw::stratified_depth(Random& random) const {
  return (double(index % std::max<size_t>(1, instances)) + random.unit()) /
         double(std::max<size_t>(1, instances));
}

size_t answer_tokens(const Draw& draw) { return std::min(draw.task->max_new, draw.length / 4); }

size_t session_tokens(const Draw& draw, const Instance& instance) {
  const size_t answers = draw.own_answers ? std::max<size_t>(1, instance.turns.size()) : 1;
  return draw.meter->tokens(session_text(instance)) + draw.meter->frame +
         answers * answer_tokens(draw);
}

Instance fit(const Draw& draw, FunctionRef<Instance(size_t units, size_t fill)> render) {
  const size_t enough = static_cast<size_t>(std::ceil(0.97 * double(draw.length)));
  const auto units =
      Search(enough, draw.length).run([&](size_t n) { return session_tokens(draw, render(n, 0)); });
  if (!units) {
    throw with_hint(Error(ErrorCode::kTooLong, std::string(draw.task->name),
                          fmt::format("needs at least {} tokens, {} were asked for",
                                      session_tokens(draw, render(0, 0)), draw.length)),
                    "ask for greater --lengths, or leave the task out");
  }
  size_t fill = 0;
  Instance out = render(*units, 0);
  if (session_tokens(draw, out) < enough) {
    fill = *Search(enough, draw.length).run([&](size_t n) {
      return session_tokens(draw, render(*units, n));
    });
    if (fill > 0) out = render(*units, fill);
  }
  return out;
}

Instance make_instance(const Draw& draw) {
  Instance out = draw.task->make(draw);
  out.suite = draw.task->suite;
  out.task = draw.task->name;
  out.id = fmt::format("{}-{}-{}-{}", draw.task->suite, draw.task->name, draw.length, draw.index);
  while (!out.context.empty() && trim(out.context.substr(out.context.size() - 1)).empty()) {
    out.context.pop_back();
  }
  out.seed = draw.instance_seed();
  out.length_target = draw.length;
  out.tokens = session_tokens(draw, out);
  for (Turn& t : out.turns) {
    if (t.max_new == 0) t.max_new = answer_tokens(draw);
  }
  return out;
}

void append(Instance& out, std::string_view text) { out.context += text; }

void append_gold(Instance& out, std::string_view text, size_t turn) {
  out.turns[turn].gold.push_back(span_of(out.context.size(), text));
  out.context += text;
}

void weave(std::span<const std::string> units, std::vector<Insert> inserts, Instance& out) {
  std::stable_sort(inserts.begin(), inserts.end(),
                   [](const Insert& a, const Insert& b) { return a.depth < b.depth; });
  size_t total = 0, done = 0;
  for (const std::string& u : units) total += u.size();
  auto next = inserts.begin();
  const auto put = [&] {
    for (const size_t turn : next->turns) {
      out.turns[turn].gold.push_back(span_of(out.context.size(), next->text));
    }
    out.context += next++->text;
  };
  for (const std::string& u : units) {
    while (next != inserts.end() && next->depth * double(total) <= double(done)) put();
    out.context += u;
    done += u.size();
  }
  while (next != inserts.end()) put();
}

}  // namespace fathom::eval
