#include "kv/sparse_prefill.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

#include "kv/attend.h"
#include "kv/replay/attend_lists.h"
#include "kv/store/coded.h"
#include "kv/store/plain.h"
#include "support/layer_text.h"

namespace fathom::kv {
namespace {

using kernel::KvFormat;

using Text = test::LayerText;
constexpr size_t kHeads = Text::kHeads, kKvHeads = Text::kKvHeads, kDim = Text::kDim;

// Lists made by a function of (query head, block, end of the block's queries).
class MadeUp final : public PrefillPolicy {
 public:
  using Make = std::function<RowList(size_t, size_t, size_t)>;
  MadeUp(size_t block, Make make) : block_(block), make_(std::move(make)) {}
  size_t query_block() const override { return block_; }
  void select(const PrefillView& view, std::span<RowList> lists) const override {
    const size_t blocks = lists.size() / view.queries.group;
    for (size_t i = 0; i < lists.size(); ++i) {
      const size_t head = view.head.kv_head * view.queries.group + i / blocks;
      const size_t block = view.first() / block_ + i % blocks;
      lists[i] = make_(head, block, std::min((block + 1) * block_, view.head.tokens));
    }
  }

 private:
  size_t block_;
  Make make_;
};

std::vector<float> run(const Text& text, std::shared_ptr<const PrefillPolicy> policy, size_t chunk,
                       int32_t window = 0) {
  ThreadPool pool(3);
  PagePool pages(size_t{64} << 20);
  Attender attender(pool, kernel::default_kernels(), std::move(policy));
  SequenceCache cache(pages, make_plain_codec(KvFormat::kF32), {1, kKvHeads, kDim});
  std::vector<float> out(text.q.size());
  for (size_t at = 0; at < text.tokens;) {
    const size_t n = std::min(chunk, text.tokens - at);
    cache.extend(n);
    AttendLayer layer = text.step(at, out.data());
    layer.window = window;
    const SequenceRows rows{&cache, 0, n};
    attender.run(layer, {&rows, 1});
    at += n;
  }
  return out;
}

RowList everything(size_t end) {
  RowList list;
  for (size_t p = 0; p < end; p += kPieceTokens) list.pieces.push_back(static_cast<int32_t>(p));
  return list;
}

// One query over these keys, in double.
std::vector<float> attend(const Text& text, size_t head, size_t t, std::span<const int32_t> keys) {
  std::vector<float> k, v, out(kDim);
  for (size_t i = 0; i < text.tokens; ++i) {
    const size_t at = (i * kKvHeads + head / 2) * kDim;
    k.insert(k.end(), &text.k[at], &text.k[at] + kDim);
    v.insert(v.end(), &text.v[at], &text.v[at] + kDim);
  }
  HeadView view;
  view.head_dim = kDim;
  view.tokens = text.tokens;
  view.k = k.data();
  view.v = v.data();
  view.scale = 0.25f;
  attend_keys(view, &text.q[(t * kHeads + head) * kDim], keys, out.data());
  return out;
}

TEST(SparsePrefill, FullListsGiveTheBitsOfDenseAttention) {
  const Text text(2500, 1);
  for (const int32_t window : {0, 700}) {
    const auto dense = run(text, nullptr, 500, window);
    for (const size_t block : {64, 128}) {
      for (const size_t chunk : {2500, 500, 77}) {
        const auto policy = std::make_shared<MadeUp>(
            block, [](size_t, size_t, size_t end) { return everything(end); });
        EXPECT_EQ(run(text, policy, chunk, window), dense) << block << " " << chunk;
      }
    }
  }
}

// Pieces anywhere, single keys, sinks and a window: what the lists say, in double.
TEST(SparsePrefill, ReadsWhatTheListsSay) {
  const Text text(700, 2);
  const auto make = [](size_t head, size_t block, size_t end) {
    std::mt19937_64 rng(head * 1000 + block);
    RowList list;
    if (head == 3) {  // a streaming head
      list = everything(end);
      list.sinks = 70;
      list.window = 130;
      return list;
    }
    int32_t at = 0;
    for (; at + 64 < static_cast<int32_t>(end) - 64; at += 64 + static_cast<int32_t>(rng() % 90)) {
      if (rng() % 3 == 0) {
        for (int32_t c = 0; c < 64; c += 1 + static_cast<int32_t>(rng() % 9)) {
          list.columns.push_back(at + c);
        }
      } else if (rng() % 2 == 0) {
        list.pieces.push_back(at);
      } else {
        list.pieces.push_back(at / 64 * 64);
        at = at / 64 * 64;
      }
    }
    if (list.columns.empty() && list.pieces.empty()) list.columns.push_back(0);
    for (int32_t p = std::max(at, static_cast<int32_t>(block * 64)); p < static_cast<int32_t>(end);
         p += 64) {
      list.pieces.push_back(p);
    }
    return list;
  };
  const auto out = run(text, std::make_shared<MadeUp>(64, make), 300);
  std::vector<int32_t> keys;
  for (size_t t = 0; t < text.tokens; t += 3) {
    for (size_t head = 0; head < kHeads; ++head) {
      // The chunk that token t was read in ends at a multiple of 300.
      const size_t end = std::min({(t / 64 + 1) * 64, (t / 300 + 1) * 300, text.tokens});
      visible_keys(make(head, t / 64, end), t, keys);
      const std::vector<float> want = attend(text, head, t, keys);
      for (size_t c = 0; c < kDim; ++c) {
        ASSERT_NEAR(out[(t * kHeads + head) * kDim + c], want[c], 2e-5)
            << "token " << t << " head " << head;
      }
    }
  }
}

// Columns that neighbouring blocks share, each lacking some of them, are gathered once.
TEST(SparsePrefill, SharedColumnsAreMasked) {
  const Text text(1000, 5);
  const auto make = [](size_t head, size_t block, size_t end) {
    std::mt19937_64 rng(head);
    RowList list;
    for (int32_t c = 1; c < static_cast<int32_t>(end) - 64; ++c) {
      if (c / 64 < static_cast<int32_t>(block) && rng() % 5 == 0 && (c + head + block) % 11 != 0) {
        list.columns.push_back(c);
      }
    }
    list.pieces.push_back(static_cast<int32_t>(block * 64));
    return list;
  };
  const auto out = run(text, std::make_shared<MadeUp>(64, make), 600);
  std::vector<int32_t> keys;
  for (size_t t = 0; t < text.tokens; t += 7) {
    for (size_t head = 0; head < kHeads; ++head) {
      const size_t end = std::min({(t / 64 + 1) * 64, (t / 600 + 1) * 600, text.tokens});
      visible_keys(make(head, t / 64, end), t, keys);
      const std::vector<float> want = attend(text, head, t, keys);
      for (size_t c = 0; c < kDim; ++c) {
        ASSERT_NEAR(out[(t * kHeads + head) * kDim + c], want[c], 2e-5) << t << " " << head;
      }
    }
  }
}

// Of the pages that 256 tokens in four blocks read: the first one and their own.
double density_with(int32_t window) {
  ThreadPool pool(1);
  PagePool pages(size_t{64} << 20);
  const auto first_page = std::make_shared<MadeUp>(64, [](size_t, size_t block, size_t) {
    RowList list{{0}, {}, 0, 0};
    if (block > 0) list.pieces.push_back(static_cast<int32_t>(block * 64));
    return list;
  });
  Attender attender(pool, kernel::default_kernels(), first_page);
  SequenceCache cache(pages, make_plain_codec(KvFormat::kF32), {1, kKvHeads, kDim});
  const Text text(256, 3);
  std::vector<float> out(text.q.size());
  cache.extend(256);
  AttendLayer layer{0, kHeads, text.q.data(), text.k.data(), text.v.data(), out.data()};
  layer.window = window;
  const SequenceRows rows{&cache, 0, 256};
  attender.run(layer, {&rows, 1});
  return attender.account().density();
}

TEST(SparsePrefill, TheAccountCountsTiles) {
  EXPECT_DOUBLE_EQ(density_with(0), (1.0 + 2 + 2 + 2) / (1 + 2 + 3 + 4));
  // Of 66 keys up to itself, the first query of a block sees one of the page before the last.
  EXPECT_DOUBLE_EQ(density_with(66), (1.0 + 2 + 2 + 1) / (1 + 2 + 3 + 3));
  EXPECT_DOUBLE_EQ(density_with(65), (1.0 + 2 + 1 + 1) / (1 + 2 + 2 + 2));
}

// Runs of slots, from and to any place, hold what slot by slot copies hold; nothing else changes.
TEST(StoreCodec, RunsOfSlotsAreCopied) {
  std::mt19937_64 rng(9);
  for (const KvFormat format : {KvFormat::kF32, KvFormat::kF16, KvFormat::kBF16}) {
    for (const size_t d : {16, 33}) {
      const auto codec = make_plain_codec(format);
      std::vector<std::byte> from(codec->page_bytes(d)), want(from.size()), got(from.size());
      std::normal_distribution<float> normal;
      std::vector<float> row(d);
      for (size_t slot = 0; slot < 64; ++slot) {
        for (float& x : row) x = normal(rng);
        codec->write({from.data()}, d, slot, row.data(), row.data());
      }
      for (int i = 0; i < 300; ++i) {
        const size_t n = 1 + rng() % 64, a = rng() % (65 - n), b = rng() % (65 - n);
        std::fill(want.begin(), want.end(), std::byte{0});
        got = want;
        for (size_t j = 0; j < n; ++j) {
          codec->copy_slot({from.data()}, a + j, {want.data()}, b + j, d);
        }
        codec->copy_slots({{from.data()}, a}, {{got.data()}, b}, n, d);
        ASSERT_EQ(got, want) << n << " from " << a << " to " << b;
      }
    }
  }
}

TEST(SequenceCache, ReadsKeysOfEveryFormat) {
  ThreadPool threads(1);
  for (const KvFormat plain : {KvFormat::kF32, KvFormat::kF16, KvFormat::kBF16}) {
    for (const KvFormat coded : {plain, KvFormat::kQ8, KvFormat::kQ4, KvFormat::kQ2, KvFormat::kT4,
                                 KvFormat::kT2, KvFormat::kNf4, KvFormat::kFp4, KvFormat::kBfp4}) {
      PagePool pages(size_t{64} << 20);
      SequenceCache cache(pages, make_coded_codec({"x", coded, coded, plain, 0}),
                          {1, kKvHeads, kDim});
      const Text text(150, 4);
      cache.extend(150);
      cache.write(0, 1, 0, {&text.k[kDim], &text.v[kDim], kKvHeads * kDim, 150});
      if (coded != plain) cache.seal(threads);
      std::vector<float> keys(100 * kDim);
      cache.read_keys(0, 1, 37, keys);
      double worst = 0;
      for (size_t i = 0; i < keys.size(); ++i) {
        const double want = text.k[((37 + i / kDim) * kKvHeads + 1) * kDim + i % kDim];
        worst = std::max(worst, std::abs(keys[i] - want));
      }
      const double step = coded == KvFormat::kQ8 || coded == plain           ? 0.03
                          : coded == KvFormat::kQ2 || coded == KvFormat::kT2 ? 1.6
                                                                             : 0.6;
      EXPECT_LT(worst, plain == KvFormat::kF32 && coded == plain ? 1e-12 : step);
    }
  }
}

}  // namespace
}  // namespace fathom::kv
