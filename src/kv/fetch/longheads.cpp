#include "kv/fetch/longheads.h"

#include <algorithm>

#include "base/error.h"
#include "kv/fetch/page_bounds.h"
#include "kv/fetch/runs.h"
#include "kv/rope.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

struct Options {
  size_t chunk, budget;
  bool per_query_head;
};

// sum of weights[i] * rows of x, [head_dim]
void weighted_sum(std::span<const float> weights, const float* x, std::span<float> out) {
  for (size_t i = 0; i < weights.size(); ++i) {
    add_scaled(weights[i], x + i * out.size(), out.size(), out.data());
  }
}

void weigh(const Chunk& c, const float* q, const float* k, std::span<float> weights) {
  for (size_t j = 0; j < c.rows; ++j) weights[j] = dot(q, k + j * c.head_dim, c.head_dim) * c.scale;
  softmax(weights);
}

class LongHeadsIndex final : public FetchIndex {
 public:
  explicit LongHeadsIndex(const Options& options) : options_(options) {}

  std::unique_ptr<FetchIndex> clone() const override {
    return std::make_unique<LongHeadsIndex>(*this);
  }
  // A chunk is read when its last query is there.
  void reads(FetchCall call, size_t, const QueryView& queries, std::span<const float>,
             FetchReads& out) override {
    const size_t w = options_.chunk, end = queries.first + queries.tokens;
    if (call != FetchCall::kObserve || end / w == queries.first / w) return;
    for (Runs* runs : {&out.k, &out.k_unrotated, &out.v}) {
      add_run(queries.first / w * w, end / w * w, *runs);
    }
  }
  void update(const HeadView& head) override {
    if (head.tokens >= seen_) return;
    seen_ = head.tokens;
    const size_t sealed = seen_ / options_.chunk;
    if (sealed < chunks_) {
      representations_.resize(representations_.size() / chunks_ * sealed);
      chunks_ = sealed;
    }
  }

  void observe(const HeadView& head, const QueryView& queries, std::span<const float>) override {
    const size_t d = head.head_dim, w = options_.chunk;
    pending_.resize(queries.group * w * d);
    for (size_t t = 0; t < queries.tokens; ++t) {
      const size_t at = queries.first + t;
      for (size_t g = 0; g < queries.group; ++g) {
        std::copy_n(queries.row(t, g, d), d, pending_.data() + (g * w + at % w) * d);
      }
      seen_ = at + 1;
      if (seen_ % w == 0) seal(head, queries.group);
    }
  }

  void select(const HeadView& head, const QueryView& query, std::span<const float>,
              std::span<Runs> runs) override {
    const size_t d = head.head_dim, w = options_.chunk;
    if (head.tokens <= options_.budget) {
      for (Runs& r : runs) r = all_of(head.tokens);
      return;
    }
    scores_.resize(query.group * chunks_);
    for (size_t g = 0; g < query.group; ++g) {
      for (size_t c = 0; c < chunks_; ++c) {
        const float* r = representations_.data() + (c * query.group + g) * d;
        scores_[g * chunks_ + c] = dot(query.row_unrotated(0, g, d), r, d);
      }
    }
    if (!options_.per_query_head && chunks_ > 0) max_over_group(query.group, scores_);
    const size_t tail = chunks_ * w;  // what no sealed chunk holds
    const size_t room = options_.budget - std::min(options_.budget, head.tokens - tail);
    for (size_t i = 0; i < runs.size(); ++i) {
      const auto scores = std::span(scores_).subspan(i * chunks_, chunks_);
      choose_blocks(scores, {room / w, 1, 1}, best_, chosen_);
      runs[i].clear();
      add_blocks(chosen_, w, tail, runs[i]);
      add_run(tail, head.tokens, runs[i]);
    }
  }

  size_t bytes() const override {
    return (representations_.capacity() + pending_.capacity()) * sizeof(float);
  }

 private:
  void seal(const HeadView& head, size_t group) {
    FATHOM_CHECK(head.rope != nullptr && head.k_unrotated != nullptr);
    const size_t d = head.head_dim, w = options_.chunk, first = seen_ - w;
    if (first / w < chunks_) return;  // sealed before
    std::vector<float> local(w * d);
    for (size_t i = 0; i < w; ++i) {
      Rotation(*head.rope, static_cast<double>(i))
          .apply(head.k_unrotated + (first + i) * d, d, local.data() + i * d);
    }
    for (size_t g = 0; g < group; ++g) {
      const auto r = chunk_representation({w, d, pending_.data() + g * w * d, head.key(first),
                                           head.value(first), local.data(), head.scale});
      representations_.insert(representations_.end(), r.begin(), r.end());
    }
    ++chunks_;
  }

  Options options_;
  size_t seen_ = 0, chunks_ = 0;
  std::vector<float> representations_;  // [chunks][group][head_dim]
  std::vector<float> pending_;          // [group][chunk][head_dim]: queries of the open chunk
  std::vector<float> scores_;
  std::vector<int32_t> chosen_;
  TopK best_;
};

class LongHeads final : public FetchPolicy {
 public:
  explicit LongHeads(const Options& options) : options_(options) {}
  FetchNeeds needs() const override {
    return {
        .observed = options_.chunk, .unrotated = true, .per_query_head = options_.per_query_head};
  }
  std::unique_ptr<FetchIndex> make_index() const override {
    return std::make_unique<LongHeadsIndex>(options_);
  }

 private:
  Options options_;
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "4096", "", 1, 1e9, "keys that are read; at least the open chunk"},
    {"chunk", "256", "", 1, 65536, "keys of a chunk"},
    {"heads", "each", "group|each", 0, 0, "who chooses: the group together or each query head"},
};

}  // namespace

std::vector<float> chunk_representation(const Chunk& c) {
  std::vector<float> weights(c.rows), mean(c.head_dim), out(c.head_dim), total(c.rows);
  for (size_t i = 0; i < c.rows; ++i) {
    weigh(c, c.q + i * c.head_dim, c.k, weights);
    add_scaled(1.0f / static_cast<float>(c.rows), weights.data(), c.rows, total.data());
  }
  weighted_sum(total, c.v, mean);  // the mean output: the output of mean weights
  weigh(c, mean.data(), c.k_local, weights);
  weighted_sum(weights, c.k_local, out);
  return out;
}

MethodInfo longheads_info() {
  return {.stage = Stage::kFetch,
          .name = "longheads",
          .summary = "every query head reads the chunks whose representations fit it",
          .paper = "unchecked: LongHeads, 2024, arXiv:2402.10685",
          .needs = "unrotated keys and queries; the prompt's queries",
          .cost =
              "prompt: 2 * chunk * head_dim multiply-adds a key and query head; step: "
              "head_dim / chunk",
          .parameters = kParameters};
}

std::unique_ptr<const FetchPolicy> make_longheads(const Parameters& p) {
  return std::make_unique<LongHeads>(
      Options{p.count("chunk"), p.count("budget"), p.text("heads") == "each"});
}

}  // namespace fathom::kv
