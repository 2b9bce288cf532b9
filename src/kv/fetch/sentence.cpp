#include "kv/fetch/sentence.h"

#include <algorithm>

#include "base/error.h"
#include "kv/fetch/runs.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

// Longer ones (tables, code) are cut, as their mean says little.
constexpr size_t kMostTokens = 256;

struct Options {
  size_t budget, sinks, recent;
};

class SentenceIndex final : public FetchIndex {
 public:
  explicit SentenceIndex(const Options& options) : options_(options) {}

  std::unique_ptr<FetchIndex> clone() const override {
    return std::make_unique<SentenceIndex>(*this);
  }
  void reads(FetchCall call, size_t tokens, const QueryView&, std::span<const float>,
             FetchReads& out) override {
    if (call != FetchCall::kUpdate) return;
    const auto end = std::upper_bound(ends_.begin(), ends_.end(), tokens);
    add_run(end == ends_.begin() ? 0 : *(end - 1), tokens, out.k);
  }
  void update(const HeadView& head) override {
    FATHOM_CHECK(head.text != nullptr);
    while (!ends_.empty() && ends_.back() > head.tokens) {
      ends_.pop_back();
      means_.resize(ends_.size() * head.head_dim);
    }
    for (size_t end = next_end(head); end != 0; end = next_end(head)) add_sentence(head, end);
  }

  void select(const HeadView& head, const QueryView& query, std::span<const float>,
              std::span<Runs> runs) override {
    follow(head, query);
    if (head.tokens <= options_.budget || queries_ <= 1) {
      runs[0] = all_of(head.tokens);
      return;
    }
    scores_.resize(ends_.size());
    for (size_t s = 0; s < ends_.size(); ++s) {
      scores_[s] = dot(sum_.data(), means_.data() + s * head.head_dim, head.head_dim);
    }
    const size_t recent = std::min(options_.recent, options_.budget);
    const size_t sinks = std::min(options_.sinks, options_.budget - recent);
    size_t room = options_.budget - recent - sinks;
    runs[0].clear();
    add_run(0, sinks, runs[0]);
    for (const int32_t s : ranking(scores_)) {
      if (room == 0) break;
      const size_t first = std::max(begin(static_cast<size_t>(s)), sinks);
      const size_t end = std::min(ends_[static_cast<size_t>(s)], head.tokens - recent);
      const size_t count = std::min(room, end - std::min(first, end));
      if (count == 0) continue;
      runs[0].push_back({static_cast<int32_t>(first), static_cast<int32_t>(first + count)});
      room -= count;
    }
    runs[0].push_back(
        {static_cast<int32_t>(head.tokens - recent), static_cast<int32_t>(head.tokens)});
    sort_runs(runs[0]);
  }

  size_t bytes() const override {
    return means_.capacity() * sizeof(float) + ends_.capacity() * sizeof(size_t);
  }

 private:
  size_t begin(size_t s) const { return s == 0 ? 0 : ends_[s - 1]; }

  // The index after the next sentence that is complete, or 0. Boundaries are positions.
  size_t next_end(const HeadView& head) const {
    const size_t first = ends_.empty() ? 0 : ends_.back();
    if (first >= head.tokens) return 0;
    const auto ends = head.text->sentence_ends;
    const auto boundary = std::upper_bound(ends.begin(), ends.end(), head.position(first));
    size_t end = first;
    while (end < head.tokens && end < first + kMostTokens &&
           (boundary == ends.end() || head.position(end) < *boundary)) {
      ++end;
    }
    const bool complete = end == first + kMostTokens || end < head.tokens ||
                          (boundary != ends.end() && head.position(end - 1) + 1 == *boundary);
    return complete ? end : 0;
  }

  void add_sentence(const HeadView& head, size_t end) {
    const size_t first = ends_.empty() ? 0 : ends_.back(), d = head.head_dim;
    means_.resize((ends_.size() + 1) * d);
    float* mean = means_.data() + ends_.size() * d;
    std::fill_n(mean, d, 0.0f);
    for (size_t t = first; t < end; ++t) {
      add_scaled(1.0f / static_cast<float>(end - first), head.key(t), d, mean);
    }
    ends_.push_back(end);
  }

  // The sum of the queries since the last boundary before this one. A sum ranks as a mean does.
  void follow(const HeadView& head, const QueryView& query) {
    const auto ends = head.text->sentence_ends;
    const auto position = static_cast<int32_t>(query.first);
    const auto boundary = std::upper_bound(ends.begin(), ends.end(), position);
    const int32_t begun = boundary == ends.begin() ? 0 : *(boundary - 1);
    if (begun != begun_ || queries_ == 0 || position <= last_) {
      queries_ = 0;
      sum_.assign(head.head_dim, 0.0f);
    }
    begun_ = begun;
    last_ = position;
    ++queries_;
    for (size_t g = 0; g < query.group; ++g) {
      add_scaled(1.0f, query.row(0, g, head.head_dim), head.head_dim, sum_.data());
    }
  }

  Options options_;
  std::vector<size_t> ends_;  // of complete sentences, by index
  std::vector<float> means_;  // [sentences][head_dim]
  std::vector<float> scores_, sum_;
  size_t queries_ = 0;
  int32_t begun_ = 0, last_ = -1;
};

class Sentence final : public FetchPolicy {
 public:
  explicit Sentence(const Options& options) : options_(options) {}
  FetchNeeds needs() const override { return {.sentences = true}; }
  std::unique_ptr<FetchIndex> make_index() const override {
    return std::make_unique<SentenceIndex>(options_);
  }

 private:
  Options options_;
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "1024", "", 1, 1e9, "keys that are read"},
    {"sinks", "32", "", 0, 1e6, "first keys that are always read"},
    {"recent", "32", "", 1, 1e9, "last keys that are always read"},
};

}  // namespace

MethodInfo sentence_info() {
  return {.stage = Stage::kFetch,
          .name = "sentence",
          .summary = "the sentences whose mean keys fit the one being written",
          .paper = "unchecked: SentenceKV, 2025, arXiv:2504.00970",
          .needs = "sentence boundaries",
          .cost = "head_dim multiply-adds a sentence and step; 4 * head_dim bytes a sentence",
          .parameters = kParameters};
}

std::unique_ptr<const FetchPolicy> make_sentence(const Parameters& p) {
  return std::make_unique<Sentence>(
      Options{p.count("budget"), p.count("sinks"), p.count("recent")});
}

}  // namespace fathom::kv
