#include "eval/recommend.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/memory.h"
#include "eval/divergence.h"
#include "eval/recommend_text.h"

namespace fathom::eval {
namespace {

using Clock = std::chrono::steady_clock;
using engine::Engine;
using engine::Outputs;
using engine::TokenId;

constexpr double kFaster = 0.95;    // of the time, or a change is not worth its risk
constexpr size_t kCandidates = 12;  // about how many are measured
constexpr size_t kSpeedSteps = 32;  // one token each
constexpr size_t kScored = 256;     // positions of a text, at most
constexpr size_t kShortest = 512;   // tokens of a window

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Sums of a window's positions.
struct WindowSums {
  double nll = 0, kl = 0, same = 0;
  size_t positions = 0;

  void add(const TokenDivergence& t) {
    nll += t.nll_q - t.nll_p;
    kl += t.kl;
    same += t.same_top;
    ++positions;
  }
};

// Reference and candidate over the same forced tokens.
class Pair {
 public:
  Pair(Engine& reference, Engine& other)
      : runners_{&reference.runner(), &other.runner()},
        caches_{reference.runner().new_cache(), other.runner().new_cache()},
        vocab_(reference.runner().config().vocab) {}

  // Reads the text as a prompt; its last positions are scored.
  WindowSums read(std::span<const TokenId> text) {
    WindowSums sums;
    const size_t batch = runners_[0]->options().batch_tokens;
    const size_t scored = std::max<size_t>(1, std::min(batch, (size_t{16} << 20) / vocab_));
    const size_t last = text.size() - 2;  // the end of the prompt is read() 's
    const size_t first = last - std::min(text.size() / 2, kScored);
    for (size_t at = 0; at < last;) {
      const bool score = at >= first;
      const size_t n = std::min({score ? scored : batch, last - at, score ? last : first - at});
      step(text.subspan(at, n), text.size(), score ? text.subspan(at + 1, n) : text.first(0), sums);
      at += n;
    }
    for (size_t i = 0; i < 2; ++i) runners_[i]->read(caches_[i], text.last(2));
    return sums;
  }

  // Forces the tokens one by one; the first is not scored.
  WindowSums write(std::span<const TokenId> tokens) {
    WindowSums sums;
    for (size_t at = 0; at + 1 < tokens.size(); ++at) {
      step(tokens.subspan(at, 1), 0, tokens.subspan(at + 1, 1), sums);
    }
    return sums;
  }

 private:
  void step(std::span<const TokenId> tokens, size_t prompt, std::span<const TokenId> next,
            WindowSums& sums) {
    std::span<const float> logits[2];
    for (size_t i = 0; i < 2; ++i) {
      const engine::StepPart part{&caches_[i], tokens,
                                  next.empty() ? Outputs::kNone : Outputs::kAll, prompt};
      logits[i] = runners_[i]->step({&part, 1});
    }
    std::vector<TokenDivergence> scored(next.size());
    runners_[0]->threads().run(next.size(), [&](size_t t, int) {
      scored[t] = compare_logits(logits[0].subspan(t * vocab_, vocab_),
                                 logits[1].subspan(t * vocab_, vocab_), next[t]);
    });
    for (const TokenDivergence& t : scored) sums.add(t);
  }

  engine::Runner* runners_[2];
  kv::SequenceCache caches_[2];
  size_t vocab_;
};

Estimate rise(const std::vector<double>& ln) {
  const Estimate e = bootstrap_mean(ln);
  return {std::expm1(e.value), {std::expm1(e.interval.low), std::expm1(e.interval.high)}};
}

class Search {
 public:
  Search(const Engine& engine, const RecommendOptions& options, const Progress& progress)
      : engine_(engine), options_(options), progress_(progress) {}

  Recommendation run() {
    const model::Config& config = engine_.model().config();
    ModelOptions plan_options;
    plan_options.context = 64;
    plan_options.batch = batch();
    const kv::Policy plain = kv::make_policy({}, engine_.runner().kernels().native_kv);
    const engine::MemoryPlan plan =
        engine::plan_memory(config, engine_.model().weights().bytes(), plain, plan_options);
    out_.fixed_bytes = plan.weight_bytes + plan.scratch_bytes;
    out_.own_text = !options_.text.empty();
    if (out_.fixed_bytes >= options_.memory) {
      throw with_hint(out_of_memory("--memory", "{} are less than weights and scratch, {}",
                                    human_bytes(double(options_.memory)),
                                    human_bytes(double(out_.fixed_bytes))),
                      "allow more, or take weights in a smaller format (fathom quantize)");
    }
    prepare();
    search_stores();
    if (best_) search_faster();
    finish();
    return std::move(out_);
  }

 private:
  size_t batch() const { return engine_.runner().options().batch_tokens; }
  size_t room() const { return options_.memory - out_.fixed_bytes; }

  size_t bytes(const Candidate& c) const {
    const kv::Policy policy = kv::make_policy(kv::parse_policy(c.line(options_.length)),
                                              engine_.runner().kernels().native_kv);
    const model::Config& config = engine_.model().config();
    const size_t step = engine::step_tokens(policy, batch());
    return engine::cache_price(config, policy, step)
        .bytes(engine::held_tokens(config, policy, options_.length, step));
  }

  // Texts as many and as long as the time allows, and the engine that all are compared with.
  void prepare() {
    const size_t longest = std::min(options_.length, engine_.model().config().trained_context);
    const size_t shortest = std::min(kShortest, longest);
    const WindowTime time = time_window(make_windows(engine_.tokenizer(), {1, shortest}, {})[0]);
    const double short_one = time.facts + time.token * static_cast<double>(shortest);
    const double each = options_.seconds / kCandidates;
    const double affordable = std::clamp(each / short_one, 2.0, 1e6);
    const size_t count = std::min(options_.windows, static_cast<size_t>(affordable));
    const double room = each / static_cast<double>(count) - time.facts;
    const double tokens = std::clamp(room / time.token, double(shortest), double(longest));
    const size_t length = std::max(shortest, static_cast<size_t>(tokens) / 256 * 256);
    windows_ = make_windows(engine_.tokenizer(), {count, length}, options_.text);
    out_.windows = windows_.size();
    size_t most = 0;
    for (const Window& w : windows_) most = std::max(most, w.length());
    out_.measured_length = most;
    total_ = kCandidates * windows_.size();
    reference_ = policy_engine("store=f32", most);
  }

  // Seconds that comparing takes: a token of a text, and the facts behind it.
  struct WindowTime {
    double token, facts;
  };
  WindowTime time_window(const Window& window) const {
    const auto one = policy_engine("store=f32", window.length());
    const auto other = policy_engine("store=f32", window.length());
    Pair pair(*one, *other);
    auto start = Clock::now();
    pair.read(window.text);
    const double read = seconds_since(start);
    start = Clock::now();
    pair.write(window.facts);
    return {read / static_cast<double>(window.text.size()), seconds_since(start)};
  }

  std::shared_ptr<Engine> policy_engine(const std::string& kv, size_t context) const {
    return engine_.with_policy(kv, context + kSpeedSteps + 64);
  }

  // Measures where it fits; returns whether it is within both limits.
  bool consider(const Candidate& candidate) {
    Evidence e;
    e.candidate = candidate;
    e.policy = candidate.line(options_.length);
    e.cache_bytes = bytes(candidate);
    if (e.cache_bytes > room()) {
      e.verdict = Verdict::kTooLarge;
      e.reason = fmt::format("its cache takes {} of {}", human_bytes(double(e.cache_bytes)),
                             human_bytes(double(room())));
    } else if (out_.complete) {
      measure(e);
      if (e.measured && e.loss() > options_.loss) {
        e.verdict = Verdict::kTooLossy;
        e.reason = fmt::format(
            "perplexity may rise by {:.2f}%{}", 100 * e.loss(),
            e.facts.interval.high >= e.text.interval.high ? " where facts are repeated" : "");
      }
    }
    out_.evidence.push_back(std::move(e));
    const Evidence& kept = out_.evidence.back();
    return kept.measured && kept.verdict == Verdict::kWithin;
  }

  void measure(Evidence& e) {
    const std::string line = e.candidate.line(out_.measured_length);
    std::shared_ptr<Engine> other;
    try {
      other = policy_engine(line, out_.measured_length);
    } catch (const Error& error) {
      e.verdict = Verdict::kTooLossy;
      e.reason = error.what();
      return;
    }
    std::vector<double> text, facts;
    WindowSums all;
    for (const Window& window : windows_) {
      Pair pair(*reference_, *other);
      const WindowSums read = pair.read(window.text);
      const WindowSums write = pair.write(window.facts);
      text.push_back(read.nll / static_cast<double>(read.positions));
      facts.push_back(write.nll / static_cast<double>(write.positions));
      all.kl += write.kl;
      all.same += read.same + write.same;
      all.positions += read.positions + write.positions;
      fact_positions_ += write.positions;
      total_ = std::max(total_, done_ + 1);
      if (!report(progress_, {"comparing", ++done_, total_, "texts"})) {
        out_.complete = false;
        return;
      }
    }
    e.text = rise(text);
    e.facts = rise(facts);
    e.kl = all.kl / static_cast<double>(std::max<size_t>(1, fact_positions_));
    fact_positions_ = 0;
    e.same_top = all.same / static_cast<double>(all.positions);
    time(*other, e);
    e.measured = true;
  }

  void time(Engine& other, Evidence& e) const {
    const Window& window = windows_[0];
    engine::Runner& runner = other.runner();
    std::vector<double> reads, steps;
    const auto begin = Clock::now();
    const double enough = options_.seconds / (4 * kCandidates);
    for (int round = 0; round == 0 || (round < 3 && seconds_since(begin) < enough); ++round) {
      kv::SequenceCache cache = runner.new_cache();
      auto start = Clock::now();
      runner.read(cache, window.text);
      reads.push_back(seconds_since(start));
      for (size_t s = 0; s < kSpeedSteps; ++s) {
        start = Clock::now();
        runner.read(cache, std::span(window.facts).first(1));
        steps.push_back(seconds_since(start));
      }
    }
    std::sort(reads.begin(), reads.end());
    std::sort(steps.begin(), steps.end());
    e.read_speed = static_cast<double>(window.text.size()) / reads[reads.size() / 2];
    e.write_speed = 1.0 / steps[steps.size() / 2];
  }

  // Takes the candidate where it is within the limits and enough faster than the best.
  void challenge(const Candidate& candidate) {
    if (!out_.complete || !consider(candidate)) return;
    const Evidence& e = out_.evidence.back();
    if (!best_ || e.seconds(options_) < kFaster * out_.evidence[*best_].seconds(options_)) {
      best_ = out_.evidence.size() - 1;
    } else {
      out_.evidence.back().reason = "not 5% faster than the best before it";
    }
  }

  void search_stores() {
    constexpr const char* kStores[] = {"auto", "q8", "k8v4", "k4v4", "k2v2"};
    bool any = false;
    for (const char* store : kStores) {
      Candidate c;
      c.store = store;
      any |= bytes(c) <= room();
      challenge(c);
    }
    if (any) return;
    // Nothing holds the whole text: a window of it, as large as fits.
    for (const char* store : kStores) {
      Candidate c;
      c.store = store;
      c.keep = 1.0;
      for (int halving = 0; halving < 60 && bytes(c) > room(); ++halving) c.keep *= 0.9;
      challenge(c);
    }
  }

  void search_faster() {
    const auto with = [&](auto change) {
      Candidate c = out_.evidence[*best_].candidate;
      change(c);
      challenge(c);
    };
    for (const char* prefill :
         {"xattention(threshold=0.95)", "xattention(threshold=0.9)", "minference"}) {
      with([&](Candidate& c) { c.prefill = prefill; });
    }
    for (const double share : {0.25, 0.125}) {
      with([&](Candidate& c) { c.fetch = share; });
    }
  }

  void finish() {
    if (!best_) return;
    Evidence& best = out_.evidence[*best_];
    best.verdict = Verdict::kChosen;
    best.reason = "";
    out_.policy = best.policy;
  }

  const Engine& engine_;
  const RecommendOptions& options_;
  const Progress& progress_;
  Recommendation out_;
  std::vector<Window> windows_;
  std::shared_ptr<Engine> reference_;
  std::optional<size_t> best_;
  size_t done_ = 0, total_ = 0, fact_positions_ = 0;
};

}  // namespace

std::string Candidate::line(size_t length) const {
  const auto tokens = [&](double share, size_t least) {
    return std::max(least, static_cast<size_t>(share * static_cast<double>(length)) / 64 * 64);
  };
  std::string out = fmt::format("prefill={}", prefill);
  out += keep >= 1 ? " keep=all"
                   : fmt::format(" keep=streaming(sinks=4,recent={},positions=slots)",
                                 tokens(keep, 128) - 4);
  out += " store=" + store;
  return out + (fetch >= 1 ? " fetch=all"
                           : fmt::format(" fetch=quest(budget={},page=64)", tokens(fetch, 256)));
}

double Evidence::loss() const { return std::max(text.interval.high, facts.interval.high); }

double Evidence::seconds(const RecommendOptions& options) const {
  return static_cast<double>(options.length) / read_speed +
         static_cast<double>(options.generate) / write_speed;
}

Recommendation recommend(const Engine& engine, const RecommendOptions& options,
                         const Progress& progress) {
  return Search(engine, options, progress).run();
}

}  // namespace fathom::eval
