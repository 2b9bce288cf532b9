#include "kv/prefill/hyper.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "base/checked.h"
#include "kv/attention_rows.h"
#include "kv/prefill/selection.h"

namespace fathom::kv {
namespace {

struct HyperArgs {
  size_t block, sample, bits, min_len, sinks;
  uint64_t seed;
};

struct Span {
  size_t begin, end;
  size_t size() const { return end - begin; }
};

// Queries that read keys: exactly, up to themselves, or by the core, where all keys are before
// them.
struct Part {
  Span queries, keys;
  size_t round;  // parts of one round have different queries
};

struct Plan {
  std::vector<Part> exact, sampled;
};

class Planner {
 public:
  Planner(const PrefillView& view, const HyperArgs& args)
      : head_(view.head), args_(args), sinks_(round_up(args.sinks, kPieceTokens)) {
    const size_t own = view.first() / kPieceTokens * kPieceTokens;
    if (own > 0) add({{view.first(), view.head.tokens}, {0, own}, 0});
    split({own, view.head.tokens}, 1);
  }
  const Plan& plan() const { return plan_; }

 private:
  void split(Span tokens, size_t round) {
    if (tokens.size() <= args_.min_len) {
      plan_.exact.push_back({tokens, tokens, round});
      return;
    }
    const size_t middle = tokens.begin + round_up(ceil_div(tokens.size(), 2), kPieceTokens);
    split({tokens.begin, middle}, round + 1);
    if (middle >= tokens.end) return;
    split({middle, tokens.end}, round + 1);
    add({{middle, tokens.end}, {tokens.begin, middle}, round});
  }

  // Without the keys that no query sees.
  void add(Part part) {
    const size_t behind = tokens_behind(head_, part.queries.begin);
    part.keys.begin = std::max(part.keys.begin, std::min(behind, part.keys.end));
    if (part.keys.size() == 0) return;
    const bool small = part.keys.size() < args_.min_len;
    const bool cheap = part.keys.size() <= args_.block + args_.sample;
    if (small || cheap) return plan_.exact.push_back(part);
    part.keys.begin = std::max(part.keys.begin, std::min(sinks_, part.keys.end));
    if (part.keys.size() > 0) plan_.sampled.push_back(part);
  }

  const HeadView& head_;
  const HyperArgs& args_;
  size_t sinks_;
  Plan plan_;
};

// The same numbers on every machine.
class Random {
 public:
  explicit Random(std::initializer_list<uint64_t> seeds) : engine_(0) {
    uint64_t state = 0;
    for (const uint64_t seed : seeds) {
      engine_.seed(state ^ seed);
      state = engine_();
    }
  }
  size_t below(size_t n) { return static_cast<size_t>(unit() * static_cast<double>(n)); }
  float normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - unit()));
    return static_cast<float>(radius * std::cos(2.0 * std::numbers::pi * unit()));
  }

 private:
  double unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }  // [0, 1)
  std::mt19937_64 engine_;
};

// Ranks of vectors by the signs of their random projections: neighbouring ranks differ in one sign.
class Hash {
 public:
  Hash(const HeadView& head, const HyperArgs& args) : bits_(args.bits), d_(head.head_dim) {
    Random random({args.seed, head.layer});
    directions_.resize(bits_ * d_);
    for (float& x : directions_) x = random.normal();
  }

  // Of `n` rows whose starts are `stride` floats apart.
  std::vector<uint32_t> ranks(const float* rows, size_t stride, size_t n) const {
    std::vector<float> products(bits_ * n);
    score_kernels().scores(
        {directions_.data(), d_, bits_, rows, stride, n, d_, 1.0f, products.data(), n});
    std::vector<uint32_t> out(n);
    for (size_t b = 0; b < bits_; ++b) {
      for (size_t i = 0; i < n; ++i) out[i] |= uint32_t{products[b * n + i] > 0} << b;
    }
    for (uint32_t& rank : out) rank = gray_place(rank);
    return out;
  }

 private:
  size_t bits_, d_;
  std::vector<float> directions_;  // [bits][head_dim]
};

// first + the indices of the ranks from the lowest on; equal ones in their order.
std::vector<int32_t> in_order(std::span<const uint32_t> ranks, size_t first) {
  std::vector<int32_t> order(ranks.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return ranks[static_cast<size_t>(a)] < ranks[static_cast<size_t>(b)];
  });
  for (int32_t& i : order) i += static_cast<int32_t>(first);
  return order;
}

// The core for one kv head.
class Core {
 public:
  Core(const PrefillView& view, const HyperArgs& args, size_t keys)
      : view_(view),
        args_(args),
        hash_(view.head, args),
        key_ranks_(hash_.ranks(view.head.k, view.head.head_dim, keys)) {
    for (size_t h = 0; h < view.queries.group; ++h) {
      query_ranks_.push_back(
          hash_.ranks(query_at(view, h, view.first()), view.queries.stride, view.queries.tokens));
    }
  }

  void add(const Part& part, Bundles& out) {
    const size_t n = part.keys.size(), blocks = ceil_div(n, args_.block);
    const auto order = in_order(std::span(key_ranks_).subspan(part.keys.begin, n), part.keys.begin);
    std::vector<Bundle> bundles(blocks);
    block_of_.assign(view_.head.tokens, 0);
    for (size_t b = 0; b < blocks; ++b) {
      const std::span own =
          std::span(order).subspan(b * n / blocks, (b + 1) * n / blocks - b * n / blocks);
      bundles[b].keys.assign(own.begin(), own.end());
      for (const int32_t key : own) block_of_[static_cast<size_t>(key)] = b;
      std::sort(bundles[b].keys.begin(), bundles[b].keys.end());
      bundles[b].sample = out.samples.size();
    }
    place_queries(part.queries, bundles);
    draw(part.keys, bundles, out);
    if (out.rounds.size() <= part.round) out.rounds.resize(part.round + 1);
    for (Bundle& b : bundles) {
      if (!b.rows.empty()) out.rounds[part.round].push_back(std::move(b));
    }
  }

 private:
  // Each head's queries, in their order, to as many equal blocks.
  void place_queries(Span queries, std::vector<Bundle>& bundles) const {
    for (size_t h = 0; h < query_ranks_.size(); ++h) {
      const auto order = in_order(
          std::span(query_ranks_[h]).subspan(queries.begin - view_.first(), queries.size()),
          queries.begin);
      for (size_t i = 0; i < order.size(); ++i) {
        bundles[i * bundles.size() / order.size()].rows.push_back(
            {static_cast<uint32_t>(h), static_cast<uint32_t>(order[i])});
      }
    }
  }

  void draw(Span keys, std::vector<Bundle>& bundles, Bundles& out) const {
    Random random({args_.seed, view_.head.layer, view_.head.kv_head, keys.begin, keys.end});
    Sample sample;
    for (size_t i = 0; i < args_.sample; ++i) {
      sample.keys.push_back(static_cast<int32_t>(keys.begin + random.below(keys.size())));
    }
    std::sort(sample.keys.begin(), sample.keys.end());
    if (args_.sample > 0) {
      sample.weight = static_cast<float>(keys.size()) / static_cast<float>(args_.sample);
    }
    for (size_t b = 0; b < bundles.size(); ++b) {
      std::vector<uint64_t>& seen = bundles[b].seen;
      seen.resize(ceil_div(sample.keys.size(), 64));
      for (size_t i = 0; i < sample.keys.size(); ++i) {
        const bool own = block_of_[static_cast<size_t>(sample.keys[i])] == b;
        seen[i / 64] |= uint64_t{!own} << (i % 64);
      }
    }
    out.samples.push_back(std::move(sample));
  }

  const PrefillView& view_;
  const HyperArgs& args_;
  Hash hash_;
  std::vector<uint32_t> key_ranks_;
  std::vector<std::vector<uint32_t>> query_ranks_;  // [head of the group]
  std::vector<size_t> block_of_;                    // of the part's keys
};

class Hyper final : public PrefillPolicy {
 public:
  explicit Hyper(const HyperArgs& args) : args_(args) {}
  size_t query_block() const override { return kPieceTokens; }

  // The exact parts and the sinks.
  void select(const PrefillView& view, std::span<RowList> lists) const override {
    const Planner planner(view, args_);
    const ChunkBlocks blocks(view, query_block());
    RowDraft draft(view.head.tokens);
    for (size_t b = 0; b < blocks.count(); ++b) {
      draft.clear();
      draft.add_range(0, args_.sinks);
      for (const Part& part : planner.plan().exact) {
        const bool reads =
            part.queries.begin <= blocks.begin(b) && blocks.begin(b) < part.queries.end;
        if (reads) draft.add_range(part.keys.begin, part.keys.end);
      }
      draft.write(blocks.end(b), lists[b]);
      for (size_t h = 1; h < view.queries.group; ++h) lists[h * blocks.count() + b] = lists[b];
    }
  }

  void bundle(const PrefillView& view, Bundles& out) const override {
    const Planner planner(view, args_);
    const std::vector<Part>& parts = planner.plan().sampled;
    if (parts.empty()) return;
    size_t keys = 0;
    for (const Part& part : parts) keys = std::max(keys, part.keys.end);
    Core core(view, args_, keys);
    for (const Part& part : parts) core.add(part, out);
  }

 private:
  HyperArgs args_;
};

constexpr ParameterInfo kParameters[] = {
    {"block", "256", "", 16, 1 << 24, "keys of a sorted block, read exactly"},
    {"sample", "256", "", 0, 1 << 16, "keys that stand for those of other blocks"},
    {"bits", "7", "", 1, 16, "random projections whose signs sort"},
    {"min_len", "4096", "", 64, 1 << 24, "tokens up to which a part is read exactly"},
    {"sinks", "64", "", 1, 1 << 24, "first keys that every query reads at least"},
    {"seed", "0", "", 0, 1e9, "of projections and samples"},
};

}  // namespace

uint32_t gray_place(uint32_t signs) {
  for (uint32_t shift = 1; shift < 32; shift *= 2) signs ^= signs >> shift;
  return signs;
}

const MethodInfo& hyper_info() {
  static const MethodInfo info{
      .name = "hyper",
      .summary = "queries and keys sorted by direction into blocks, a random sample for the rest",
      .paper = "HyperAttention: Long-context Attention in Near-Linear Time, 2023, arXiv:2310.05869",
      .needs = "unchecked: no output of the authors' code was at hand to compare with",
      .cost = "bits * head_dim operations a query and key, a sort, and block + sample keys a query",
      .parameters = kParameters,
      .exact = "min_len=16777216",
  };
  return info;
}

std::unique_ptr<const PrefillPolicy> make_hyper(const Parameters& p) {
  return std::make_unique<Hyper>(HyperArgs{p.count("block"), p.count("sample"), p.count("bits"),
                                           p.count("min_len"), p.count("sinks"), p.count("seed")});
}

}  // namespace fathom::kv
