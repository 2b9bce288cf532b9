#include "eval/recommend_trial.h"

#include <algorithm>
#include <chrono>

#include "eval/sequence.h"

namespace fathom::eval {
namespace {

using Clock = std::chrono::steady_clock;
using engine::Engine;
using engine::Outputs;
using engine::StepPart;
using engine::TokenId;

constexpr size_t kScored = 256;       // positions of a text, at most
constexpr size_t kLogits = 16 << 20;  // floats of them
constexpr size_t kTimedSteps = 24;    // single tokens; the facts are more than that

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A quarter of the steps are faster: others wait for what else the machine does.
double typical(std::vector<double> v) {
  const auto at = v.begin() + static_cast<std::ptrdiff_t>(v.size() / 4);
  std::nth_element(v.begin(), at, v.end());
  return *at;
}

// A stretch of work on an engine, with attention apart.
class Timer {
 public:
  explicit Timer(Engine& engine) : attender_(engine.runner().attender()) {
    attender_.reset_account();
  }
  TimedPart took() const { return {seconds_since(start_), attender_.seconds()}; }

 private:
  kv::Attender& attender_;
  Clock::time_point start_ = Clock::now();
};

// Steps of one token.
struct Steps {
  std::vector<double> attention, rest;

  void add(const TimedPart& took) {
    attention.push_back(took.attention);
    rest.push_back(took.seconds - took.attention);
  }
  TimedPart all() const {
    const double a = typical(attention);
    return {typical(rest) + a, a};
  }
};

// Whether tokens behind a prompt give the same in one step as one by one.
bool steps_may_join(const Engine& engine) {
  return !engine.runner().policy().fetch && !engine.runner().policy().keep;
}

size_t logits_at_once(const Engine& engine) {
  const size_t batch = engine.runner().options().batch_tokens;
  return std::max<size_t>(1, std::min(batch, kLogits / engine.runner().config().vocab));
}

// Reads [from, to) of a text whose prompt has `prompt` tokens, without outputs. False: ended early.
bool read_part(Engine& engine, kv::SequenceCache& cache, std::span<const TokenId> tokens,
               size_t prompt, const GoOn& go_on) {
  const size_t most = engine.runner().step_tokens();
  for (size_t at = 0; at < tokens.size(); at += most) {
    const StepPart part{&cache, tokens.subspan(at, std::min(most, tokens.size() - at)),
                        Outputs::kNone, prompt};
    engine.runner().step({&part, 1});
    if (!go_on()) return false;
  }
  return true;
}

// Hands out the logits of tokens, steps of at most `most`. `each`: (index, logits).
template <class Each>
void score_part(Engine& engine, kv::SequenceCache& cache, std::span<const TokenId> tokens,
                size_t prompt, Each each) {
  const size_t most = logits_at_once(engine), vocab = engine.runner().config().vocab;
  for (size_t at = 0; at < tokens.size(); at += most) {
    const size_t n = std::min(most, tokens.size() - at);
    const StepPart part{&cache, tokens.subspan(at, n), Outputs::kAll, prompt};
    const std::span<const float> logits = engine.runner().step({&part, 1});
    each(at, n, [&](size_t i) { return logits.subspan(i * vocab, vocab); });
  }
}

// The time of each single token behind the cache; the last of them only lie beyond `timed`.
class TrialRun {
 public:
  TrialRun(const Reference& reference, Engine& candidate, const GoOn& go_on)
      : reference_(reference),
        window_(reference.window()),
        engine_(candidate),
        runner_(candidate.runner()),
        cache_(runner_.new_cache()),
        go_on_(go_on) {}

  Trial run() {
    out_.finished = read() && write();
    return std::move(out_);
  }

 private:
  bool read() {
    const std::span<const TokenId> text(window_.text);
    const Timer timer(engine_);
    if (!read_part(engine_, cache_, text.first(reference_.first()), text.size(), go_on_)) {
      return false;
    }
    out_.cost.add_read(reference_.first(), timer.took());
    out_.density = engine_.runner().attender().account().density();
    score_part(engine_, cache_, text.subspan(reference_.first(), reference_.text_positions()),
               text.size(), [&](size_t at, size_t n, auto logits) {
                 compare(
                     n, [&](size_t i) { return reference_.text(at + i); }, logits,
                     text.subspan(reference_.first() + at + 1, n), out_.text);
               });
    runner_.read(cache_, text.last(2));
    return go_on_();
  }

  bool write() {
    const std::span<const TokenId> facts(window_.facts);
    const size_t all = reference_.facts_positions();
    const size_t single = steps_may_join(engine_) ? std::min(all, kTimedSteps) : all;
    Steps steps;
    for (size_t i = 0; i < single; ++i) {
      const Timer timer(engine_);
      const StepPart part{&cache_, facts.subspan(i, 1)};
      const std::span<const float> logits = runner_.step({&part, 1});
      steps.add(timer.took());
      out_.facts.add(compare_logits(reference_.facts(i), logits, facts[i + 1]));
      if (!go_on_()) return false;
    }
    out_.cost.add_step(window_.text.size(), steps.all());
    score_part(engine_, cache_, facts.subspan(single, all - single), 0,
               [&](size_t at, size_t n, auto logits) {
                 compare(
                     n, [&](size_t i) { return reference_.facts(single + at + i); }, logits,
                     facts.subspan(single + at + 1, n), out_.facts);
               });
    return go_on_();
  }

  template <class P, class Q>
  void compare(size_t n, P p, Q q, std::span<const TokenId> next, TrialSums& sums) {
    std::vector<TokenDivergence> scored(n);
    runner_.threads().run(n,
                          [&](size_t i, int) { scored[i] = compare_logits(p(i), q(i), next[i]); });
    for (const TokenDivergence& t : scored) sums.add(t);
  }

  const Reference& reference_;
  const Window& window_;
  Engine& engine_;
  engine::Runner& runner_;
  kv::SequenceCache cache_;
  const GoOn& go_on_;
  Trial out_;
};

}  // namespace

void TrialSums::add(const TokenDivergence& t) {
  nll += t.nll_q - t.nll_p;
  kl += t.kl;
  same += t.same_top;
  ++positions;
}

void TrialSums::add(const TrialSums& other) {
  nll += other.nll;
  kl += other.kl;
  same += other.same;
  positions += other.positions;
}

size_t scored_positions(const Window& window, size_t vocab) {
  const size_t room = std::max<size_t>(32, kLogits / vocab);
  return std::min({window.text.size() / 2, kScored, room});
}

Reference::Reference(Engine& dense, const Window& window)
    : dense_(dense),
      window_(window),
      vocab_(dense.runner().config().vocab),
      first_(window.text.size() - 2 - scored_positions(window, vocab_)),
      read_(dense.runner().new_cache()) {
  const std::span<const TokenId> text(window.text), facts(window.facts);
  const auto keep_in = [](std::vector<float>& all) {
    return [&all](size_t, size_t n, auto logits) {
      for (size_t i = 0; i < n; ++i) {
        const std::span<const float> row = logits(i);
        all.insert(all.end(), row.begin(), row.end());
      }
    };
  };
  const GoOn always = [] { return true; };
  read_part(dense, read_, text.first(first_), text.size(), always);
  score_part(dense, read_, text.subspan(first_, text.size() - 2 - first_), text.size(),
             keep_in(text_));
  dense.runner().read(read_, text.last(2));
  kv::SequenceCache cache = read_.fork();
  score_part(dense, cache, facts.first(facts.size() - 1), 0, keep_in(facts_));
}

double Reference::facts_nll(const std::vector<TokenId>& facts) const {
  kv::SequenceCache cache = read_.fork();
  double sum = 0;
  const std::span<const TokenId> all(facts);
  score_part(dense_, cache, all.first(all.size() - 1), 0, [&](size_t at, size_t n, auto logits) {
    for (size_t i = 0; i < n; ++i) sum += surprise(logits(i), facts[at + i + 1]);
  });
  return sum / double(facts.size() - 1);
}

double Reference::facts_gain(const std::vector<TokenId>& foreign) const {
  return facts_nll(foreign) - facts_nll(window_.facts);
}

Trial run_trial(const Reference& reference, Engine& candidate, const GoOn& go_on) {
  return TrialRun(reference, candidate, go_on).run();
}

}  // namespace fathom::eval
