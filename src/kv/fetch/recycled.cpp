#include "kv/fetch/recycled.h"

#include <algorithm>

#include "kv/attention_rows.h"
#include "kv/fetch/runs.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

struct Options {
  size_t budget, interval, recent, block;
};

class RecycledIndex final : public FetchIndex {
 public:
  explicit RecycledIndex(const Options& options) : options_(options) {}

  std::unique_ptr<FetchIndex> clone() const override {
    return std::make_unique<RecycledIndex>(*this);
  }
  void reads(FetchCall call, size_t tokens, const QueryView&, std::span<const float>,
             FetchReads& out) override {
    if (call != FetchCall::kSelect) return;
    if (reads_all(tokens)) {
      add_run(0, tokens, out.k);
    } else if (options_.block == 1) {
      add_tokens(tokens_, out.k);
      add_run(tokens - 1, tokens, out.k);
    }
  }
  void update(const HeadView& head) override {
    if (head.tokens < seen_) seen_ = 0;  // the next step reads everything
  }

  void select(const HeadView& head, const QueryView& query, std::span<const float>,
              std::span<Runs> runs) override {
    const bool all = reads_all(head.tokens);
    seen_ = head.tokens;
    ++steps_;
    if (all) {
      steps_ = 0;
      runs[0] = all_of(head.tokens);
      weights_.resize(head.tokens);
      received_attention(head, query, weights_);
      tokens_.clear();
      if (options_.block == 1) {
        keep_best(all_of(head.tokens));
      } else {
        keep_best_blocks();
      }
      return;
    }
    if (options_.block > 1) {
      runs[0].clear();
      add_blocks(chosen_, options_.block, head.tokens, runs[0]);
      add_run(static_cast<size_t>(chosen_.back()) * options_.block, head.tokens, runs[0]);
      return;
    }
    tokens_.push_back(static_cast<int32_t>(head.tokens - 1));
    runs[0].clear();
    add_tokens(tokens_, runs[0]);
    weigh(head, query);
    const Runs read = runs[0];
    tokens_.clear();
    keep_best(read);
  }

  size_t bytes() const override {
    return (tokens_.capacity() + chosen_.capacity()) * sizeof(int32_t);
  }

 private:
  bool reads_all(size_t tokens) const {
    return seen_ == 0 || tokens != seen_ + 1 || steps_ + 1 == options_.interval;
  }

  // weights_ of the keys in tokens_, summed over the group.
  void weigh(const HeadView& head, const QueryView& query) {
    std::vector<float> one(tokens_.size());
    weights_.assign(tokens_.size(), 0.0f);
    for (size_t g = 0; g < query.group; ++g) {
      const float* q = query.row(0, g, head.head_dim);
      for (size_t i = 0; i < one.size(); ++i) {
        one[i] = dot(q, head.key(static_cast<size_t>(tokens_[i])), head.head_dim) * head.scale;
      }
      cap_scores(head, one);
      softmax(one);
      add_scaled(1.0f, one.data(), one.size(), weights_.data());
    }
  }

  // tokens_ = the keys of `read`, whose weights weights_ holds in order, with most weight.
  void keep_best(const Runs& read) {
    const size_t n = weights_.size();
    chosen_.clear();
    const size_t count = std::min(n, options_.budget), recent = std::min(count, options_.recent);
    best_.append(std::span<const float>(weights_).first(n - recent), count - recent, 0, chosen_);
    for (size_t i = n - recent; i < n; ++i) chosen_.push_back(static_cast<int32_t>(i));
    size_t before = 0, next = 0;  // keys of earlier runs; in chosen_
    for (const Run& r : read) {
      const auto length = static_cast<size_t>(r.end - r.first);
      for (; next < chosen_.size() && static_cast<size_t>(chosen_[next]) < before + length;
           ++next) {
        tokens_.push_back(r.first + chosen_[next] - static_cast<int32_t>(before));
      }
      before += length;
    }
  }

  // chosen_ = the blocks with most weight, the last keys' among them.
  void keep_best_blocks() {
    const size_t block = options_.block, blocks = (weights_.size() + block - 1) / block;
    std::vector<float> sums(blocks);
    for (size_t t = 0; t < weights_.size(); ++t) sums[t / block] += weights_[t];
    const size_t count = std::max<size_t>(options_.budget / block, 1);
    const size_t last = std::max<size_t>((options_.recent + block - 1) / block, 1);
    choose_blocks(sums, {count, 0, last}, best_, chosen_);
  }

  Options options_;
  size_t seen_ = 0, steps_ = 0;
  std::vector<int32_t> tokens_, chosen_;  // ascending; chosen_: in weights_, or blocks
  std::vector<float> weights_;
  TopK best_;
};

class Recycled final : public FetchPolicy {
 public:
  explicit Recycled(const Options& options) : options_(options) {}
  std::unique_ptr<FetchIndex> make_index() const override {
    return std::make_unique<RecycledIndex>(options_);
  }

 private:
  Options options_;
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "4096", "", 1, 1e9, "keys that are remembered"},
    {"interval", "50", "", 1, 1e6, "steps from one that reads everything to the next"},
    {"recent", "64", "", 0, 1e9, "last keys that are never forgotten"},
    {"block", "64", "", 1, 4096, "keys that are remembered together; 1: as the paper"},
};

}  // namespace

MethodInfo recycled_info() {
  return {.stage = Stage::kFetch,
          .name = "recycled",
          .summary = "one step reads every key; the next ones its best and the newest",
          .paper = "unchecked: Recycled Attention, 2024, arXiv:2411.05787",
          .cost =
              "head_dim multiply-adds a key and query head every `interval` steps; block=1: "
              "also every key that is read, page by page",
          .parameters = kParameters};
}

std::unique_ptr<const FetchPolicy> make_recycled(const Parameters& p) {
  return std::make_unique<Recycled>(
      Options{p.count("budget"), p.count("interval"), p.count("recent"), p.count("block")});
}

}  // namespace fathom::kv
