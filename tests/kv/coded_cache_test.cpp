// Sealing: full pages behind the tail are encoded, whatever else happens to the cache.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kv/sequence_cache.h"
#include "kv/store/coded.h"
#include "kv/store/plain.h"

namespace fathom::kv {
namespace {

using kernel::kPageTokens;
using kernel::KvFormat;

constexpr CacheShape kShape{2, 2, 32};

std::shared_ptr<const StoreCodec> q8(size_t tail) {
  return make_coded_codec({"q8", KvFormat::kQ8, KvFormat::kQ8, KvFormat::kF32, tail});
}

// Token t of head h, channel c: in [-1, 1), so that a step of q8 is below 1 / 127.
float number(size_t t, size_t h, size_t c) {
  return static_cast<float>((t * 31 + h * 17 + c * 7) % 97) / 48.5f - 1.0f;
}

void append(SequenceCache& cache, size_t tokens, ThreadPool& pool) {
  const size_t first = cache.length(), d = kShape.head_dim;
  cache.extend(tokens);
  for (size_t h = 0; h < kShape.layers * kShape.kv_heads; ++h) {
    std::vector<float> k(tokens * d), v(tokens * d);
    for (size_t i = 0; i < tokens * d; ++i) {
      k[i] = number(first + i / d, h, i % d);
      v[i] = -k[i];
    }
    cache.write(h / kShape.kv_heads, h % kShape.kv_heads, first, {k.data(), v.data(), d, tokens});
  }
  cache.seal(pool);
}

constexpr double kHalfStep = (0.5 + 127 * 0x1p-11) / 127;  // of a peak of 1

// Every number is what was written: within `plain` in plain pages, half a step more in sealed ones.
void expect_right(const SequenceCache& cache, double plain = 0) {
  const size_t d = kShape.head_dim;
  std::vector<float> k(d), v(d);
  for (size_t h = 0; h < kShape.layers * kShape.kv_heads; ++h) {
    const HeadCache& head = cache.head(h / kShape.kv_heads, h % kShape.kv_heads);
    ASSERT_EQ(head.length(), cache.length());
    for (size_t p = 0; p < head.pages().size(); ++p) {
      const kernel::PageView& page = head.pages()[p];
      const bool sealed = page.k_format == KvFormat::kQ8;
      ASSERT_EQ(page.first_position, static_cast<int32_t>(p * kPageTokens));
      const PageData data{static_cast<std::byte*>(const_cast<void*>(page.k))};
      for (size_t slot = 0; slot < static_cast<size_t>(page.tokens); ++slot) {
        if (sealed) {
          head.codec().read_sealed(data, d, slot, k.data(), v.data());
        } else {
          head.codec().read(data, d, slot, k.data(), v.data());
        }
        for (size_t c = 0; c < d; ++c) {
          const float want = number(p * kPageTokens + slot, h, c);
          ASSERT_NEAR(k[c], want, plain + (sealed ? kHalfStep : 0));
          ASSERT_NEAR(v[c], -want, plain + (sealed ? kHalfStep : 0));
        }
      }
    }
  }
}

TEST(CodedCache, FullPagesBehindTheTailAreSealed) {
  ThreadPool threads(2);
  PagePool pool(64 << 20);
  SequenceCache cache(pool, q8(64), kShape);
  for (const size_t step : {1, 62, 1, 64, 1, 200, 7}) {
    append(cache, step, threads);
    expect_right(cache);
    const size_t due = cache.length() < 64 ? 0 : (cache.length() - 64) / kPageTokens;
    for (size_t p = 0; p < cache.head(1, 0).pages().size(); ++p) {
      EXPECT_EQ(cache.head(1, 0).pages()[p].k_format, p < due ? KvFormat::kQ8 : KvFormat::kF32);
    }
  }
  EXPECT_EQ(cache.head(0, 0).pages()[3].k_format, KvFormat::kQ8);
  EXPECT_EQ(cache.head(0, 0).pages()[4].k_format, KvFormat::kF32);
  size_t pages = 0;
  for (const kernel::PageView& p : cache.head(1, 1).pages()) pages += p.k_format == KvFormat::kQ8;
  EXPECT_EQ(cache.bytes(), 4 * (pages * cache.codec(0).sealed_bytes(32) +
                                (6 - pages) * cache.codec(0).page_bytes(32)));
  EXPECT_EQ(pool.stats().used_bytes, cache.bytes());
}

// Random forks, cuts into sealed pages, and new tokens behind them. A page that is cut is decoded,
// filled and encoded again, its values moving by half a step each time at most.
TEST(CodedCache, ForksAndCutsKeepTheirTokens) {
  ThreadPool threads(2);
  PagePool pool(256 << 20);
  std::mt19937_64 rng(7);
  std::vector<SequenceCache> caches;
  caches.emplace_back(pool, q8(0), kShape);
  for (int round = 0; round < 200; ++round) {
    SequenceCache& cache = caches[rng() % caches.size()];
    const uint64_t what = rng() % 4;
    if (what == 0 && caches.size() < 6) {
      caches.push_back(cache.fork());
    } else if (what == 1) {
      cache.truncate(rng() % (cache.length() + 1));
    } else if (cache.length() < 600) {
      append(cache, 1 + rng() % 100, threads);
    }
    for (const SequenceCache& each : caches) expect_right(each, 4 * kHalfStep);
    if (HasFatalFailure()) return;
  }
}

// Layers have their own codecs, forks and cuts included.
TEST(CodedCache, LayersHaveTheirOwnStore) {
  ThreadPool threads(2);
  PagePool pool(64 << 20);
  Store store(make_plain_codec(KvFormat::kF32));
  store.add({1, 1}, q8(0));
  SequenceCache cache(pool, store, kShape);
  EXPECT_EQ(cache.bytes_for(65),
            2 * 2 * (cache.codec(0).page_bytes(32) + cache.codec(1).page_bytes(32)));
  append(cache, 200, threads);
  SequenceCache fork = cache.fork();
  append(fork, 90, threads);
  for (const SequenceCache* each : {&cache, &fork}) {
    expect_right(*each);
    EXPECT_EQ(each->head(0, 1).pages()[0].k_format, KvFormat::kF32);
    EXPECT_EQ(each->head(1, 1).pages()[0].k_format, KvFormat::kQ8);
  }
  fork.truncate(70);
  append(fork, 1, threads);
  expect_right(fork, kHalfStep);
}

TEST(CodedCache, PagesStayPlainWhereThePoolIsFull) {
  ThreadPool threads(1);
  const auto codec = q8(0);
  PagePool pool(4 * codec->page_bytes(32));
  SequenceCache cache(pool, codec, kShape);
  append(cache, 64, threads);
  EXPECT_EQ(cache.head(0, 0).pages()[0].k_format, KvFormat::kF32);
  expect_right(cache.fork());
}

}  // namespace
}  // namespace fathom::kv
