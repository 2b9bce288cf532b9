#include "kv/fetch/emllm.h"

#include <algorithm>
#include <cmath>
#include <deque>

#include "base/error.h"
#include "kv/fetch/runs.h"

namespace fathom::kv {
namespace {

struct Options {
  EventOptions events;
  BlockMemoryOptions memory;
  size_t budget;
  double contiguity;  // share of the budget for neighbours
};

class EmLlmIndex final : public FetchIndex {
 public:
  explicit EmLlmIndex(const Options& options)
      : options_(options),
        cutter_(options.events),
        memory_(options.memory, [this](size_t first, size_t limit) {
          return cutter_.cut(surprise_, first, limit);
        }) {}
  EmLlmIndex(const EmLlmIndex& other)
      : options_(other.options_),
        cutter_(other.cutter_),
        memory_(other.memory_),
        neighbours_(other.neighbours_) {
    memory_.use([this](size_t first, size_t limit) {  // the other's refers to the other
      return cutter_.cut(surprise_, first, limit);
    });
  }
  EmLlmIndex& operator=(const EmLlmIndex&) = delete;

  std::unique_ptr<FetchIndex> clone() const override { return std::make_unique<EmLlmIndex>(*this); }
  void reads(FetchCall call, size_t, const QueryView& queries, std::span<const float> agreed,
             FetchReads& out) override {
    if (call == FetchCall::kObserve) memory_.reads(queries, choose(agreed), out);
  }
  void update(const HeadView& head) override {
    memory_.update(head);
    for (auto e = neighbours_.begin(); e != neighbours_.end();) {
      e = static_cast<size_t>(*e) < memory_.blocks() ? e + 1 : neighbours_.erase(e);
    }
  }
  void rank(const HeadView& head, const QueryView& queries, std::vector<float>& scores) override {
    memory_.rank(head, queries, scores);
  }
  void observe(const HeadView& head, const QueryView& queries,
               std::span<const float> agreed) override {
    FATHOM_CHECK(head.text != nullptr);
    surprise_ = head.text->surprise;
    const std::vector<int32_t> chosen = choose(agreed);
    memory_.observe(head, queries, chosen);
    surprise_ = {};
  }
  void select(const HeadView& head, const QueryView&, std::span<const float> agreed,
              std::span<Runs> runs) override {
    memory_.read(head.tokens, choose(agreed), runs[0]);
  }
  size_t bytes() const override { return memory_.bytes(); }

 private:
  size_t length(int32_t event) const {
    const Run r = memory_.block(static_cast<size_t>(event));
    return static_cast<size_t>(r.end - r.first);
  }

  // Events by similarity, best first, while they fit; then neighbours of these and of earlier ones.
  std::vector<int32_t> choose(std::span<const float> agreed) {
    FATHOM_CHECK(agreed.size() >= memory_.blocks());
    const auto beside =
        static_cast<size_t>(static_cast<double>(options_.budget) * options_.contiguity);
    size_t room = options_.budget - beside;
    std::vector<int32_t> chosen;
    for (const int32_t e : ranking(agreed.first(memory_.blocks()))) {
      if (length(e) > room) break;
      room -= length(e);
      chosen.push_back(e);
    }
    if (beside > 0) add_neighbours(beside, chosen);
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    return chosen;
  }

  void add_neighbours(size_t room, std::vector<int32_t>& chosen) {
    for (const int32_t e : chosen) {
      for (const int32_t n : {e + 1, e - 1}) {
        if (n < 0 || static_cast<size_t>(n) >= memory_.blocks()) continue;
        std::erase(neighbours_, n);
        neighbours_.push_back(n);
      }
    }
    size_t held = 0;
    for (const int32_t n : neighbours_) held += length(n);
    for (; held > room; neighbours_.pop_front()) held -= length(neighbours_.front());
    chosen.insert(chosen.end(), neighbours_.begin(), neighbours_.end());
  }

  Options options_;
  EventCutter cutter_;
  std::span<const float> surprise_;  // during observe()
  BlockMemory memory_;
  std::deque<int32_t> neighbours_;  // oldest first; carried from step to step
};

class EmLlm final : public FetchPolicy {
 public:
  explicit EmLlm(const Options& options) : options_(options) {}
  FetchNeeds needs() const override {
    return {
        .observed = options_.memory.observed, .unrotated = true, .surprise = true, .joint = true};
  }
  std::unique_ptr<FetchIndex> make_index() const override {
    return std::make_unique<EmLlmIndex>(options_);
  }

 private:
  Options options_;
};

constexpr ParameterInfo kParameters[] = {
    {"init", "128", "", 0, 1e9, "first keys that are always read"},
    {"local", "4096", "", 1, 1e9, "last keys that are always read"},
    {"budget", "4096", "", 1, 1e9, "keys of events that a step reads beside these"},
    {"gamma", "1", "", 0, 100, "deviations above the mean that make a surprise"},
    {"least", "8", "", 1, 1e6, "keys of the shortest event"},
    {"most", "128", "", 1, 1e6, "keys of the longest event"},
    {"contiguity", "0", "", 0, 0.9, "share of the budget for neighbours of chosen events"},
    {"represent", "4", "", 1, 1e6, "keys whose mean stands for an event"},
    {"observed", "512", "", 1, 1e6, "queries of the prompt that choose together"},
};

}  // namespace

void EventCutter::extend(std::span<const float> surprise) {
  for (size_t t = sums_.size() - 1; t < surprise.size(); ++t) {
    const double s = surprise[t];
    sums_.push_back(sums_.back() + s);
    squares_.push_back(squares_.back() + s * s);
  }
}

bool EventCutter::surprising(std::span<const float> surprise, size_t token) {
  extend(surprise);
  if (token >= surprise.size()) return false;
  const size_t first = std::max(options_.init, token - std::min(token, options_.local));
  if (token < first + 2) return false;
  const auto n = static_cast<double>(token - first);
  const double mean = (sums_[token] - sums_[first]) / n;
  const double variance = (squares_[token] - squares_[first] - n * mean * mean) / (n - 1);
  return surprise[token] > mean + options_.gamma * std::sqrt(std::max(variance, 0.0));
}

size_t EventCutter::cut(std::span<const float> surprise, size_t first, size_t limit) {
  const size_t most = first + options_.most;
  for (size_t t = first + options_.least; t < std::min(limit, most); ++t) {
    if (surprising(surprise, t)) return t;
  }
  return most <= limit ? most : 0;
}

MethodInfo emllm_info() {
  return {.stage = Stage::kFetch,
          .name = "emllm",
          .summary = "a window, and the events, cut at surprises, that fit the query",
          .paper = "unchecked: EM-LLM, 2024, arXiv:2407.09450",
          .needs = "unrotated keys and queries; the prompt's queries; tokens' surprise",
          .cost = "as infllm",
          .parameters = kParameters};
}

std::unique_ptr<const FetchPolicy> make_emllm(const Parameters& p) {
  Options options;
  options.events = {p.number("gamma"), p.count("least"), p.count("most"), p.count("init"),
                    p.count("local")};
  options.memory = {p.count("init"), p.count("local"), p.count("represent"),
                    std::min(p.count("observed"), p.count("local"))};
  options.budget = p.count("budget");
  options.contiguity = p.number("contiguity");
  if (options.events.least > options.events.most) {
    throw usage_error("--kv", "'least' {} is above 'most' {}", options.events.least,
                      options.events.most);
  }
  return std::make_unique<EmLlm>(options);
}

}  // namespace fathom::kv
