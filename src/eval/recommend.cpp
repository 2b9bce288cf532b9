#include "eval/recommend.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/memory.h"
#include "eval/recommend_speed.h"

namespace fathom::eval {
namespace {

using Clock = std::chrono::steady_clock;
using engine::Engine;

constexpr double kNoise = 0.9;        // what is as fast as that share of the fastest is as fast
constexpr size_t kTrials = 40;        // that texts are made short enough for
constexpr double kForTiming = 0.2;    // of a trial's time, for timing attention at the asked length
constexpr double kFirstRound = 0.55;  // of the time, for one text under every single change
constexpr size_t kShortest = 512;     // tokens of a text
constexpr size_t kProbe = 2048;
// Losing the facts must cost so many times the limit, or perplexity cannot show that they are lost.
constexpr double kFactsWorth = 5;
constexpr double kFindsFacts = 0.2;  // nats a token: of a fact's tokens, its digits are worth 0.9
constexpr size_t kSurvivors[] = {10, 7, 5, 4};  // of the rounds after the first

struct Entry {
  Evidence evidence;
  std::vector<TrialSums> text, facts;  // of windows
  CostModel cost;
  std::optional<LayerSpeed> far;  // at the asked length
  std::vector<double> densities;  // of windows
  bool refused = false;           // by the engine, or too large
};

Estimate rise(const std::vector<double>& ln) {
  const Estimate e = bootstrap_mean(ln);
  return {std::expm1(e.value), {std::expm1(e.interval.low), std::expm1(e.interval.high)}};
}

template <class Value>
std::vector<double> each(const std::vector<TrialSums>& windows, Value value) {
  std::vector<double> out;
  for (const TrialSums& w : windows) out.push_back(value(w));
  return out;
}

class Search {
 public:
  Search(const Engine& engine, const RecommendOptions& options, const Progress& progress)
      : engine_(engine), options_(options), progress_(progress), start_(Clock::now()) {}

  Recommendation run() {
    out_.own_text = !options_.text.empty();
    out_.fixed_bytes = fixed_bytes();
    if (out_.fixed_bytes >= options_.memory) {
      throw with_hint(out_of_memory("--memory", "{} are less than weights and scratch, {}",
                                    human_bytes(double(options_.memory)),
                                    human_bytes(double(out_.fixed_bytes))),
                      "allow more, or take weights in a smaller format (fathom quantize)");
    }
    list_candidates();
    prepare();
    const double all = options_.seconds;
    for (size_t w = 0; w < windows_.size() && going(); ++w) {
      until_ = w == 0 && windows_.size() > 1 ? kFirstRound * all : all;
      round(w);
      if (w == 0) combine();
    }
    finish();
    return std::move(out_);
  }

 private:
  double elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  bool going() const { return out_.complete && (elapsed() < options_.seconds || owes_base()); }
  // The base gets its two texts whatever the time.
  bool owes_base() const {
    return entries_[0].text.size() < std::min<size_t>(2, windows_.size()) && !entries_[0].refused;
  }

  bool tick() {
    const auto total = static_cast<size_t>(std::ceil(options_.seconds));
    const size_t done = std::min(total, static_cast<size_t>(elapsed()));
    if (!report(progress_, {"searching", done, total, "s"})) out_.complete = false;
    return out_.complete && (elapsed() < until_ || unlimited_);
  }

  size_t batch() const { return engine_.runner().options().batch_tokens; }
  size_t room() const { return options_.memory - out_.fixed_bytes; }

  size_t fixed_bytes() const {
    ModelOptions o;
    o.context = 64;
    o.batch = batch();
    const kv::Policy plain = kv::make_policy({}, engine_.runner().kernels().native_kv);
    const engine::MemoryPlan plan =
        engine::plan_memory(engine_.model().config(), engine_.model().weights().bytes(), plain, o);
    return plan.weight_bytes + plan.scratch_bytes;
  }

  size_t bytes(const Candidate& c) const {
    const kv::Policy policy = kv::make_policy(kv::parse_policy(c.line(options_.length)),
                                              engine_.runner().kernels().native_kv);
    const model::Config& config = engine_.model().config();
    const size_t step = engine::step_tokens(policy, batch());
    return engine::cache_need(config, policy, options_.length, step).peak();
  }

  Entry& add(const Candidate& candidate) {
    Entry& entry = entries_.emplace_back();
    Evidence& e = entry.evidence;
    e.candidate = candidate;
    e.policy = candidate.line(options_.length);
    e.cache_bytes = bytes(candidate);
    if (e.cache_bytes <= room()) return entry;
    entry.refused = true;
    e.verdict = Verdict::kTooLarge;
    e.reason = fmt::format("its cache takes {} of {}", human_bytes(double(e.cache_bytes)),
                           human_bytes(double(room())));
    return entry;
  }

  // The largest store that fits, and everything that changes one stage of it; where nothing holds
  // the whole text: a window of it in each store, as large as fits.
  void list_candidates() {
    std::vector<Candidate> too_large;
    for (const std::string& store : stores_by_size()) {
      Candidate base;
      base.store = store;
      if (bytes(base) > room()) {
        too_large.push_back(base);
        continue;
      }
      add(base);
      for (const Candidate& c : single_changes(base)) {
        if (entries_.size() <= options_.changes) add(c);
      }
      break;
    }
    if (!entries_.empty()) {
      for (const Candidate& c : too_large) {
        const auto same = [&](const Entry& e) { return e.evidence.candidate == c; };
        if (std::none_of(entries_.begin(), entries_.end(), same)) add(c);
      }
      return;
    }
    for (const std::string& store : stores_by_size()) {
      Candidate c;
      c.store = store;
      c.keep = {"streaming", 1};
      for (int tenths = 0; tenths < 60 && bytes(c) > room(); ++tenths) c.keep.share *= 0.9;
      add(c);
    }
  }

  // Texts as many as asked for, and as long as the time allows.
  void prepare() {
    unlimited_ = true;
    const size_t longest = std::min(options_.length, engine_.model().config().trained_context);
    const size_t shortest = std::min(kShortest, longest);
    const double affordable = 0.9 * options_.seconds / double(kTrials);
    CostModel reads;
    double fixed = probe(shortest, reads);
    if (!out_.complete) return;
    if (longest >= kProbe && 8 * elapsed() < 0.1 * options_.seconds) fixed = probe(kProbe, reads);
    if (!out_.complete) return;
    size_t length = shortest;
    for (size_t next = shortest; next <= longest; next += 256) {
      if (fixed + reads.read_seconds(next) <= (1 - kForTiming) * affordable) length = next;
    }
    if (longest - length < 256) length = longest;
    // Windows are about so long: near enough is not carried on.
    if (options_.length > length + length / 8) {
      far_.emplace(engine_, options_.length, kForTiming * affordable, [&] { return tick(); });
      out_.timed_length = far_->timed_length();
    }
    unlimited_ = false;
    if (!out_.complete) return;
    windows_ = make_windows(engine_.tokenizer(), {options_.windows, length}, options_.text);
    foreign_facts_ =
        make_windows(engine_.tokenizer(), {windows_.size() + 1, kShortest}, {}).back().facts;
    out_.windows = windows_.size();
    for (const Window& w : windows_)
      out_.measured_length = std::max(out_.measured_length, w.length());
  }

  // Adds the time of reading a text; returns what a trial of it takes beside that.
  double probe(size_t length, CostModel& reads) {
    const Window window = make_windows(engine_.tokenizer(), {1, length}, {})[0];
    const auto dense = make_dense(window);
    const Reference reference(*dense, window);
    const auto begun = Clock::now();
    const Trial trial = run_trial(reference, *dense, [&] { return tick(); });
    if (!trial.finished) return 0;
    const double read = trial.cost.read_seconds(reference.first());
    reads.merge(trial.cost);
    return std::chrono::duration<double>(Clock::now() - begun).count() - read;
  }

  std::shared_ptr<Engine> make(const std::string& kv, size_t context) const {
    return engine_.with_policy(kv, context + context / 4 + 512);  // KEEP moves what it keeps
  }

  // What others are compared with; it has room for forks.
  std::shared_ptr<Engine> make_dense(const Window& window) const {
    return make("store=f32", 2 * window.length() + 512);
  }

  // Which entries a window is for, in their order.
  std::vector<size_t> contenders(size_t window) const {
    std::vector<size_t> out;
    for (size_t i = 0; i < entries_.size(); ++i) {
      const Entry& e = entries_[i];
      // What was left out of the first round, for want of time, stays out.
      const bool behind = window > 1 && e.text.size() + 2 < window;
      if (!e.refused && !behind && promising(e) && (window == 0 || !e.text.empty() || fresh(i))) {
        out.push_back(i);
      }
    }
    if (window == 0) return out;
    std::stable_sort(out.begin(), out.end(), [&](size_t a, size_t b) { return rank(a) < rank(b); });
    const size_t most = kSurvivors[std::min(window, std::size(kSurvivors)) - 1];
    if (out.size() > most) out.resize(most);
    if (entries_[0].refused) return out;
    std::erase(out, 0);  // the base is measured beside the others, always
    out.insert(out.begin(), 0);
    return out;
  }

  bool fresh(size_t entry) const { return entry >= combined_; }
  bool promising(const Entry& e) const {
    return e.text.empty() || e.evidence.likely_loss(out_.judge) <= options_.loss;
  }
  // By time; combinations that were not measured yet come first.
  double rank(size_t i) const {
    return entries_[i].text.empty() ? 0 : entries_[i].evidence.seconds(options_);
  }

  void round(size_t w) {
    const auto dense = make_dense(windows_[w]);
    Reference reference(*dense, windows_[w]);
    if (w < 2) judge_by(reference);
    for (const size_t i : contenders(w)) {
      unlimited_ = i == 0 && owes_base();
      if (!tick()) continue;
      measure(reference, entries_[i]);
    }
    unlimited_ = false;
  }

  // What facts are worth to the model with dense attention, by the texts so far.
  void judge_by(const Reference& reference) {
    gains_.push_back(reference.facts_gain(foreign_facts_));
    out_.facts_gain = std::accumulate(gains_.begin(), gains_.end(), 0.0) / double(gains_.size());
    const bool shows = out_.facts_gain >= kFactsWorth * std::log1p(options_.loss);
    out_.judge = shows ? Judge::kPerplexity : Judge::kDivergence;
  }

  void measure(const Reference& reference, Entry& entry) {
    const size_t length = reference.window().length();
    const Candidate& c = entry.evidence.candidate;
    Trial trial;
    try {
      trial = run_trial(reference, *make(c.line(length), length), [&] { return tick(); });
      if (trial.finished && far_ && !entry.far) {
        entry.far = far_->time(c, [&] { return tick(); });
        trial.finished = entry.far.has_value();
      }
    } catch (const Error& error) {
      entry.refused = true;
      entry.evidence.verdict = Verdict::kRefused;
      entry.evidence.reason = error.what();
      return;
    }
    if (!trial.finished) return;
    entry.text.push_back(trial.text);
    entry.facts.push_back(trial.facts);
    entry.cost.merge(trial.cost);
    entry.densities.push_back(trial.density);
    summarize(entry);
  }

  void summarize(Entry& entry) const {
    Evidence& e = entry.evidence;
    e.texts = entry.text.size();
    const auto nll = [](const TrialSums& s) { return s.mean_nll(); };
    const auto kl = [](const TrialSums& s) { return s.mean_kl(); };
    e.text = rise(each(entry.text, nll));
    e.facts = rise(each(entry.facts, nll));
    e.kl_text = bootstrap_mean(each(entry.text, kl));
    e.kl_facts = bootstrap_mean(each(entry.facts, kl));
    TrialSums all;
    for (size_t w = 0; w < e.texts; ++w) {
      all.add(entry.text[w]);
      all.add(entry.facts[w]);
    }
    e.same_top = all.same / double(all.positions);
    price(entry);
  }

  // Seconds, at the measured length and at the asked one.
  void price(Entry& entry) const {
    Evidence& e = entry.evidence;
    e.measured_read = entry.cost.read_seconds(out_.measured_length);
    e.measured_step = entry.cost.step_seconds(out_.measured_length);
    if (!far_) {
      e.read_seconds = entry.cost.read_seconds(options_.length);
      e.step_seconds = entry.cost.step_seconds(options_.length);
      return;
    }
    // What is beside attention is the same work for all that store and keep alike.
    double token = entry.cost.rest_of_token(), step = entry.cost.rest_of_step();
    for (const Entry& other : entries_) {
      const Candidate &a = other.evidence.candidate, &b = e.candidate;
      if (other.text.empty() || a.store != b.store || !(a.keep == b.keep)) continue;
      token = std::min(token, other.cost.rest_of_token());
      step = std::min(step, other.cost.rest_of_step());
    }
    const double density = std::accumulate(entry.densities.begin(), entry.densities.end(), 0.0) /
                           double(entry.densities.size());
    e.read_seconds = far_->read_seconds(e.candidate, *entry.far, token, density);
    e.read_attention = e.read_seconds - double(options_.length) * token;
    e.step_seconds = far_->step_seconds(*entry.far, step);
    e.step_attention = e.step_seconds - step;
  }

  // The fastest change of each stage that is within the limit, for combinations.
  void combine() {
    combined_ = entries_.size();
    const Candidate base = entries_[0].evidence.candidate;
    BestChanges best = {base, base, base, base, base};
    const auto pick = [&](Candidate& to, auto changed) {
      double least = entries_[0].text.empty() ? 1e300 : entries_[0].evidence.seconds(options_);
      for (const Entry& e : entries_) {
        const Candidate& c = e.evidence.candidate;
        if (e.text.empty() || !promising(e) || !changed(c)) continue;
        const double s = e.evidence.seconds(options_);
        if (s < least) to = c;
        least = std::min(s, least);
      }
    };
    pick(best.store, [&](const Candidate& c) { return c.store != base.store; });
    pick(best.prefill, [&](const Candidate& c) { return c.prefill != base.prefill; });
    pick(best.keep, [&](const Candidate& c) { return c.keep != base.keep; });
    pick(best.fetch, [&](const Candidate& c) { return c.fetch != base.fetch; });
    for (const Candidate& c : combinations(best)) add(c);
  }

  // The fastest of those within the limit; of what is as fast, what loses least.
  void finish() {
    std::optional<size_t> best;
    double fastest = 1e300;
    const size_t enough = std::min<size_t>(2, windows_.size());
    for (Entry& entry : entries_) {
      Evidence& e = entry.evidence;
      if (entry.refused) continue;
      if (!entry.text.empty()) summarize(entry);
      judge(e, enough);
      if (e.verdict == Verdict::kWithin) fastest = std::min(fastest, e.seconds(options_));
    }
    for (size_t i = 0; i < entries_.size(); ++i) {
      const Evidence& e = entries_[i].evidence;
      if (e.verdict != Verdict::kWithin || kNoise * e.seconds(options_) > fastest) continue;
      const auto loss = [&](size_t at) { return entries_[at].evidence.loss(out_.judge); };
      if (!best || loss(i) < loss(*best)) best = i;
    }
    if (best) {
      Evidence& e = entries_[*best].evidence;
      e.verdict = Verdict::kChosen;
      e.reason = "";
      out_.policy = e.policy;
    }
    for (Entry& entry : entries_) out_.evidence.push_back(std::move(entry.evidence));
    out_.seconds = elapsed();
  }

  void judge(Evidence& e, size_t enough) const {
    if (e.texts == 0) {
      e.reason = out_.complete ? "not measured: the time was over" : "not measured: ended early";
    } else if (e.likely_loss(out_.judge) > options_.loss ||
               (e.texts >= enough && e.loss(out_.judge) > options_.loss)) {
      e.verdict = Verdict::kTooLossy;
      e.reason = lossy(e);
    } else if (e.texts < enough) {
      e.reason = out_.complete ? "on one text only: slower than what was looked at further"
                               : "on one text only: ended early";
    } else {
      e.verdict = Verdict::kWithin;
      e.reason = "not the fastest, or as fast and loses more";
    }
  }

  std::string lossy(const Evidence& e) const {
    const std::string much = fmt::format("{:.2f}%", 100 * e.loss(out_.judge));
    if (out_.judge == Judge::kDivergence) return "predictions may move by " + much;
    const bool facts = e.facts.interval.high >= e.text.interval.high;
    return fmt::format("perplexity may rise by {}{}", much,
                       facts ? " where facts are repeated" : "");
  }

  const Engine& engine_;
  const RecommendOptions& options_;
  const Progress& progress_;
  Clock::time_point start_;
  double until_ = 0;
  bool unlimited_ = false;
  Recommendation out_;
  std::vector<Window> windows_;
  std::vector<engine::TokenId> foreign_facts_;  // of which no text knows
  std::vector<double> gains_;
  std::optional<FarSpeed> far_;  // where the asked length is not measured
  std::vector<Entry> entries_;   // the base is the first
  size_t combined_ = SIZE_MAX;   // combinations begin here
};

}  // namespace

double Evidence::loss(Judge judge) const {
  return judge == Judge::kPerplexity
             ? std::max(text.interval.high, facts.interval.high)
             : std::expm1(std::max(kl_text.interval.high, kl_facts.interval.high));
}

double Evidence::likely_loss(Judge judge) const {
  return judge == Judge::kPerplexity ? std::max(text.value, facts.value)
                                     : std::expm1(std::max(kl_text.value, kl_facts.value));
}

double Evidence::seconds(const RecommendOptions& options) const {
  return read_seconds + static_cast<double>(options.generate) * step_seconds;
}

Recommendation recommend(const Engine& engine, const RecommendOptions& options,
                         const Progress& progress) {
  return Search(engine, options, progress).run();
}

}  // namespace fathom::eval
