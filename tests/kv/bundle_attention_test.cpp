#include "kv/bundle_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "kv/attend.h"
#include "kv/replay/attend_lists.h"
#include "kv/replay/bundle_index.h"
#include "kv/store/plain.h"
#include "support/layer_text.h"
#include "support/prefill_lists.h"

namespace fathom::kv {
namespace {

using Text = test::LayerText;
constexpr size_t kHeads = Text::kHeads, kKvHeads = Text::kKvHeads, kDim = Text::kDim;
constexpr size_t kGroup = kHeads / kKvHeads;

// Any policy, remembering what it said: [chunk][kv head].
class Watched final : public PrefillPolicy {
 public:
  struct Chunk {
    size_t first = 0;
    std::vector<std::vector<RowList>> lists{kKvHeads};
    std::vector<Bundles> bundles{kKvHeads};
  };
  explicit Watched(std::unique_ptr<const PrefillPolicy> inner) : inner_(std::move(inner)) {}
  size_t query_block() const override { return inner_->query_block(); }
  void select(const PrefillView& view, std::span<RowList> lists) const override {
    inner_->select(view, lists);
    now_.lists[view.head.kv_head].assign(lists.begin(), lists.end());
  }
  void bundle(const PrefillView& view, Bundles& out) const override {
    inner_->bundle(view, out);
    now_.bundles[view.head.kv_head] = out;
  }
  Chunk take() { return std::exchange(now_, {}); }

 private:
  std::unique_ptr<const PrefillPolicy> inner_;
  mutable Chunk now_;
};

// Rows and keys by lot: each query of the chunk reads some earlier keys together with others.
class ByLot final : public PrefillPolicy {
 public:
  size_t query_block() const override { return kPieceTokens; }
  void select(const PrefillView& view, std::span<RowList> lists) const override {
    const size_t blocks = lists.size() / view.queries.group;
    for (size_t i = 0; i < lists.size(); ++i) {
      const size_t block = view.first() / kPieceTokens + i % blocks;
      lists[i].pieces = {static_cast<int32_t>(block * kPieceTokens)};
    }
  }
  void bundle(const PrefillView& view, Bundles& out) const override {
    const size_t past = view.first() / kPieceTokens * kPieceTokens;
    if (past == 0) return;
    std::mt19937_64 rng(view.first() + view.head.kv_head);
    for (const float weight : {0.4f, 3.0f}) {
      Sample sample{{}, weight};
      for (int i = 0; i < 150; ++i) sample.keys.push_back(static_cast<int32_t>(rng() % past));
      std::sort(sample.keys.begin(), sample.keys.end());
      out.samples.push_back(std::move(sample));
    }
    for (size_t round = 0; round < 2; ++round) {
      std::vector<Bundle> bundles(5);
      for (size_t b = 0; b < 5; ++b) {
        for (size_t k = b + 10 * round; k < past; k += 20) {
          bundles[b].keys.push_back(static_cast<int32_t>(k));
        }
        bundles[b].sample = rng() % 2;
        bundles[b].seen = {rng(), b == 3 ? 0 : rng(), rng() & ((1u << 22) - 1)};
      }
      for (size_t q = view.first(); q < view.head.tokens; ++q) {
        for (uint32_t h = 0; h < view.queries.group; ++h) {
          const size_t b = rng() % 6;  // some are in none
          if (b < 5) bundles[b].rows.push_back({h, static_cast<uint32_t>(q)});
        }
      }
      out.rounds.push_back(std::move(bundles));
    }
  }
};

// A kv head's keys and values.
struct Rows {
  Rows(const Text& text, size_t kv_head, size_t end)
      : k(Text::rows(text.k, kv_head)), v(Text::rows(text.v, kv_head)) {
    view.head_dim = kDim;
    view.tokens = end;
    view.k = k.data();
    view.v = v.data();
    view.scale = 0.25f;
  }
  std::vector<float> k, v;
  HeadView view;
};

void check_chunk(const Text& text, const Watched::Chunk& chunk, size_t end,
                 const std::vector<float>& out) {
  std::vector<int32_t> keys;
  std::vector<float> counts, want(kDim);
  for (size_t h = 0; h < kHeads; ++h) {
    const Rows head(text, h / kGroup, end);
    const BundleIndex index(chunk.bundles[h / kGroup]);
    const auto& lists = chunk.lists[h / kGroup];
    const size_t blocks = lists.size() / kGroup;
    for (size_t t = chunk.first; t < end; t += 3) {
      const RowList& list = lists[h % kGroup * blocks + t / 64 - chunk.first / 64];
      visible_keys(list, t, keys);
      counts.clear();
      index.append(h % kGroup, t, keys, counts);
      attend_keys(head.view, &text.q[(t * kHeads + h) * kDim], keys, want.data(), counts);
      for (size_t c = 0; c < kDim; ++c) {
        ASSERT_NEAR(out[(t * kHeads + h) * kDim + c], want[c], 2e-5)
            << "token " << t << " head " << h;
      }
    }
  }
}

// Returns how many bundles there were.
size_t check_policy(std::unique_ptr<const PrefillPolicy> inner, size_t tokens, size_t step) {
  const Text text(tokens, 1);
  ThreadPool pool(3);
  PagePool pages(size_t{64} << 20);
  const auto policy = std::make_shared<Watched>(std::move(inner));
  Attender attender(pool, kernel::default_kernels(), policy);
  SequenceCache cache(pages, make_plain_codec(kernel::KvFormat::kF32), {1, kKvHeads, kDim});
  std::vector<float> out(text.q.size());
  size_t bundles = 0;
  for (size_t at = 0; at < tokens; at += step) {
    const size_t n = std::min(step, tokens - at);
    cache.extend(n);
    const SequenceRows rows{&cache, 0, n};
    attender.run(text.step(at, out.data()), {&rows, 1});
    Watched::Chunk chunk = policy->take();
    chunk.first = at;
    for (const Bundles& b : chunk.bundles) {
      for (const auto& round : b.rounds) bundles += round.size();
    }
    check_chunk(text, chunk, at + n, out);
  }
  return bundles;
}

TEST(BundleAttention, RowsReadWhatTheirBundlesSay) {
  EXPECT_GT(check_policy(std::make_unique<ByLot>(), 700, 300), 10u);
}

TEST(BundleAttention, HyperIsWhatItSays) {
  for (const size_t step : {1100, 300}) {
    EXPECT_GT(check_policy(test::make_prefill("hyper(block=48,sample=100,min_len=64)"), 1100, step),
              20u);
  }
}

}  // namespace
}  // namespace fathom::kv
