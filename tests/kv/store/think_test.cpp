// ThinK's pages: what they hold, what reading them gives, and that they are smaller.
#include "kv/store/think.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernel/page_code.h"
#include "kv/attend.h"
#include "kv/keep/think.h"
#include "kv/policy.h"
#include "kv/store_stage.h"

namespace fathom::kv {
namespace {

using kernel::KvFormat;

constexpr size_t kHeads = 4, kKvHeads = 2, kDim = 24, kTokens = 400;

// Rows of one layer; channels from `loud` on are as good as nothing in the keys.
struct Rows {
  std::vector<float> q, k, v;

  explicit Rows(size_t loud = kDim, float quiet = 0) {
    std::mt19937_64 rng(3);
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < kTokens * kHeads * kDim; ++i) q.push_back(normal(rng));
    for (size_t i = 0; i < kTokens * kKvHeads * kDim; ++i) {
      k.push_back(normal(rng) * (i % kDim < loud ? 1 : quiet));
      v.push_back(normal(rng));
    }
  }
};

class ThinkStore : public testing::TestWithParam<KvFormat> {
 protected:
  Store store(const std::string& line) const {
    return make_policy(parse_policy("store=" + line), GetParam()).store;
  }

  // Reads tokens from the cache's end up to `end`, the last step as a prompt's last.
  std::vector<float> read(SequenceCache& cache, const Rows& rows, size_t end, size_t chunk = 128) {
    StoreStage stage(pool_, cache.store(), 1);
    Attender attender(pool_, kernel::default_kernels());
    std::vector<float> out(kTokens * kHeads * kDim);
    while (cache.length() < end) {
      const size_t at = cache.length(), n = std::min(chunk, end - at);
      cache.extend(n);
      AttendLayer layer{0,
                        kHeads,
                        rows.q.data() + at * kHeads * kDim,
                        rows.k.data() + at * kKvHeads * kDim,
                        rows.v.data() + at * kKvHeads * kDim,
                        out.data() + at * kHeads * kDim};
      layer.scale = 0.2f;
      const SequenceRows part{&cache, 0, n};
      attender.run(layer, {&part, 1});
      stage.observe(layer, {&part, 1});
      cache.seal(pool_);
    }
    if (chunk > 1) stage.after_prompt(cache);
    return out;
  }

  // Thin and whole pages are two calls of the kernel, which joins a row's sum of 400 weights at the
  // end of each: values of at most 5 times a few ulp.
  static void expect_near(const std::vector<float>& got, const std::vector<float>& want) {
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 5e-6) << i;
  }

  SequenceCache cache(const std::string& line) {
    return {pages_, store(line), {1, kKvHeads, kDim}};
  }

  ThreadPool pool_{2};
  PagePool pages_{size_t{32} << 20};
};

// Channels without energy cost nothing: the output is that of whole pages, and the pages are as
// much smaller as the channels left out make them.
TEST_P(ThinkStore, EmptyChannelsAreLeftOutExactly) {
  const Rows rows(12);
  SequenceCache whole = cache("auto"), thin = cache("think(share=0.5,tail=0)");
  read(whole, rows, 320);
  read(thin, rows, 320);
  const size_t number = GetParam() == KvFormat::kF32 ? 4 : 2;
  EXPECT_EQ(whole.bytes() - thin.bytes(), 5 * kKvHeads * (12 * 64 * number - 64));
  for (size_t h = 0; h < kKvHeads; ++h) {
    const kernel::PageView& page = thin.head(0, h).pages()[0];
    ASSERT_EQ(page.channel_count, 12);
    for (size_t i = 0; i < 12; ++i) EXPECT_EQ(page.channels[i], i);
    std::vector<float> want(320 * kDim), got(320 * kDim);
    whole.read_keys(0, h, 0, want);
    thin.read_keys(0, h, 0, got);
    EXPECT_EQ(got, want);
    whole.read_values(0, h, 0, want);
    thin.read_values(0, h, 0, got);
    EXPECT_EQ(got, want);
  }
  // A chunk, then single tokens, over thin pages and whole ones behind them.
  const auto want = read(whole, rows, 390, 70), got = read(thin, rows, 390, 70);
  const auto more = read(whole, rows, kTokens, 1), less = read(thin, rows, kTokens, 1);
  expect_near(got, want);
  expect_near(less, more);
}

TEST_P(ThinkStore, NothingLeftOutIsPlain) {
  const Rows rows;
  SequenceCache whole = cache("auto"), all = cache("think(share=0,tail=0)");
  EXPECT_EQ(read(whole, rows, kTokens), read(all, rows, kTokens));
  EXPECT_EQ(read(whole, rows, kTokens, 1), read(all, rows, kTokens, 1));
  EXPECT_EQ(whole.bytes(), all.bytes());
}

// Channels are those of the scores over all keys and the last queries; what is lost of a logit is
// at most what was left out of it.
TEST_P(ThinkStore, KeepsTheChannelsWithTheLargestScores) {
  const Rows rows;
  SequenceCache thin = cache("think(share=0.4,window=16,tail=64)");
  read(thin, rows, kTokens);
  for (size_t h = 0; h < kKvHeads; ++h) {
    std::vector<float> keys;
    for (size_t t = 0; t < kTokens; ++t) {
      const float* row = rows.k.data() + (t * kKvHeads + h) * kDim;
      keys.insert(keys.end(), row, row + kDim);
    }
    HeadView head;
    head.head_dim = kDim;
    head.tokens = kTokens;
    head.k = keys.data();
    QueryView queries;
    queries.group = kHeads / kKvHeads;
    queries.tokens = 16;
    queries.stride = kHeads * kDim;
    queries.q = rows.q.data() + ((kTokens - 16) * kHeads + h * queries.group) * kDim;
    // 24 - floor(9.6) = 15 channels, and one more to make pairs.
    const std::vector<int32_t> want = top_channels(channel_scores(head, queries), 16);
    const auto pages = thin.head(0, h).pages();
    for (size_t p = 0; p < pages.size(); ++p) {
      if (p >= (kTokens - 64) / 64) {
        EXPECT_EQ(pages[p].channels, nullptr) << "the tail stays whole";
        continue;
      }
      const std::vector<int32_t> got(pages[p].channels, pages[p].channels + 16);
      EXPECT_EQ(got, want);
    }
    std::vector<float> back(kTokens * kDim);
    thin.read_keys(0, h, 0, back);
    for (size_t c = 0; c < kDim; ++c) {
      const bool kept = std::find(want.begin(), want.end(), int32_t(c)) != want.end();
      EXPECT_EQ(back[c] == 0, !kept) << c;
      EXPECT_NE(back[(kTokens - 1) * kDim + c], 0) << c;
    }
  }
}

// Tokens that leave thin pages, one by one or by forks that write, take what the pages have.
TEST_P(ThinkStore, ThinPagesCanBeGathered) {
  const Rows rows(12);
  SequenceCache thin = cache("think(share=0.5,tail=0)"), whole = cache("auto");
  read(thin, rows, 320);
  read(whole, rows, 320);
  std::vector<int32_t> kept;
  for (int32_t t = 0; t < 320; t += 3) kept.push_back(t);
  for (SequenceCache* c : {&thin, &whole}) {
    for (size_t h = 0; h < kKvHeads; ++h) c->keep(0, h, kept);
  }
  expect_near(read(thin, rows, 390, 70), read(whole, rows, 390, 70));
  SequenceCache cut = cache("think(share=0.5,tail=0)"), plain = cache("auto");
  read(cut, rows, 320);
  read(plain, rows, 320);
  cut.truncate(300);
  plain.truncate(300);
  expect_near(read(cut, rows, kTokens, 100), read(plain, rows, kTokens, 100));
}

INSTANTIATE_TEST_SUITE_P(Formats, ThinkStore,
                         testing::Values(KvFormat::kF32, KvFormat::kF16, KvFormat::kBF16),
                         [](const auto& p) { return std::string(kernel::format_name(p.param)); });

}  // namespace
}  // namespace fathom::kv
