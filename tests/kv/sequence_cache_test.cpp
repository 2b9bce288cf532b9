#include "kv/sequence_cache.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/error.h"
#include "kv/store/plain.h"

namespace fathom::kv {
namespace {

using kernel::kPageTokens;
using kernel::KvFormat;

constexpr CacheShape kShape{2, 2, 8};  // layers, kv heads, head size

// What a cache holds, kept the slow way: for each head its tokens, as a position and a number from
// which the test makes all channels.
struct Token {
  int32_t position;
  float number;
};
struct Model {
  size_t length = 0;  // tokens read
  std::vector<std::vector<Token>> heads =
      std::vector<std::vector<Token>>(kShape.layers * kShape.kv_heads);

  void truncate(size_t to) {
    length = to;
    for (auto& head : heads) {
      std::erase_if(head, [&](const Token& t) { return t.position >= static_cast<int32_t>(to); });
    }
  }
};

float channel(float number, size_t c, bool key) {
  return number + float(c) * (key ? 0.25f : -0.5f);
}

void append(SequenceCache& cache, Model& model, size_t tokens, std::mt19937_64& rng) {
  const size_t first = cache.length();
  cache.extend(tokens);
  for (size_t h = 0; h < model.heads.size(); ++h) {
    std::vector<float> k(tokens * 8), v(tokens * 8);
    for (size_t t = 0; t < tokens; ++t) {
      const float number = float(rng() % 100);
      model.heads[h].push_back({static_cast<int32_t>(first + t), number});
      for (size_t c = 0; c < 8; ++c) {
        k[t * 8 + c] = channel(number, c, true);
        v[t * 8 + c] = channel(number, c, false);
      }
    }
    cache.write(h / kShape.kv_heads, h % kShape.kv_heads, first, {k.data(), v.data(), 8, tokens});
  }
  model.length += tokens;
}

// Leaves out some of one head's tokens: here and there, or all but both ends.
void thin_out(SequenceCache& cache, Model& model, std::mt19937_64& rng) {
  const size_t h = rng() % model.heads.size();
  const std::vector<Token>& tokens = model.heads[h];
  std::vector<int32_t> kept;
  const bool ends = rng() % 2 == 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const bool stays = ends ? i < 130 || i + 70 > tokens.size() : rng() % 8 != 0;
    if (stays) kept.push_back(static_cast<int32_t>(i));
  }
  if (kept.empty()) return;
  std::vector<Token> left;
  for (const int32_t i : kept) left.push_back(tokens[static_cast<size_t>(i)]);
  cache.keep(h / kShape.kv_heads, h % kShape.kv_heads, kept);
  model.heads[h] = std::move(left);
}

// Reads every number back through the pages, as a kernel would find them.
void expect_equal(const SequenceCache& cache, const Model& model) {
  ASSERT_EQ(cache.length(), model.length);
  for (size_t i = 0; i < model.heads.size(); ++i) {
    const HeadCache& h = cache.head(i / kShape.kv_heads, i % kShape.kv_heads);
    const std::vector<Token>& tokens = model.heads[i];
    ASSERT_EQ(h.length(), tokens.size());
    size_t at = 0;
    for (const kernel::PageView& page : h.pages()) {
      const size_t n = std::min(kPageTokens, tokens.size() - at);
      ASSERT_EQ(page.tokens, static_cast<int32_t>(n));
      const PageData data{static_cast<std::byte*>(const_cast<void*>(page.k))};
      for (size_t slot = 0; slot < n; ++slot, ++at) {
        const int32_t position = page.positions ? page.positions[slot]
                                                : page.first_position + static_cast<int32_t>(slot);
        ASSERT_EQ(position, tokens[at].position);
        ASSERT_EQ(h.position(at), position);
        float k[8], v[8];
        cache.codec(0).read(data, 8, slot, k, v);
        for (size_t c = 0; c < 8; ++c) {
          ASSERT_EQ(k[c], channel(tokens[at].number, c, true)) << "token " << at;
          ASSERT_EQ(v[c], channel(tokens[at].number, c, false)) << "token " << at;
        }
      }
    }
    ASSERT_EQ(at, tokens.size());
  }
}

std::shared_ptr<const StoreCodec> codec(KvFormat format) { return make_plain_codec(format); }

TEST(SequenceCache, RandomOperationsEqualTheSlowModel) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    std::mt19937_64 rng(seed);
    PagePool pool(size_t{64} << 20);
    std::vector<std::pair<SequenceCache, Model>> all;
    all.emplace_back(SequenceCache(pool, codec(KvFormat::kF32), kShape), Model());
    for (int step = 0; step < 400; ++step) {
      const size_t i = rng() % all.size();
      SequenceCache& cache = all[i].first;
      Model& model = all[i].second;
      switch (rng() % 7) {
        case 0:
        case 1:
          append(cache, model, 1 + rng() % (rng() % 4 == 0 ? 150 : 5), rng);
          break;
        case 2: {
          const size_t to = rng() % (model.length + 1);
          cache.truncate(to);
          model.truncate(to);
          break;
        }
        case 3: {
          if (all.size() >= 6) break;
          SequenceCache fork = cache.fork();
          Model copy = model;
          all.emplace_back(std::move(fork), std::move(copy));
          break;
        }
        case 4:
          thin_out(cache, model, rng);
          break;
        case 5:
          cache.compact();
          break;
        default:
          if (all.size() > 1) all.erase(all.begin() + static_cast<std::ptrdiff_t>(i));
      }
      if (step % 20 == 0) {
        for (const auto& [c, m] : all) expect_equal(c, m);
        if (HasFatalFailure()) FAIL() << "seed " << seed << " step " << step;
      }
    }
    all.clear();
    EXPECT_EQ(pool.stats().pages, 0u) << "pages leaked, seed " << seed;
    EXPECT_EQ(pool.stats().used_bytes, 0u);
  }
}

TEST(SequenceCache, ForksShareUntilTheyWrite) {
  std::mt19937_64 rng(1);
  PagePool pool(size_t{8} << 20);
  SequenceCache cache(pool, codec(KvFormat::kF16), kShape);
  Model model;
  append(cache, model, 100, rng);
  const size_t before = pool.stats().used_bytes;
  SequenceCache fork = cache.fork();
  EXPECT_EQ(pool.stats().used_bytes, before);
  const size_t page = cache.codec(0).page_bytes(8);
  EXPECT_EQ(fork.bytes_for(1), 4 * page);  // a copy of each head's shared tail
  EXPECT_EQ(fork.bytes_for(28), 4 * page);
  EXPECT_EQ(fork.bytes_for(29), 8 * page);  // and a new page
  Model fork_model = model;
  append(fork, fork_model, 3, rng);
  EXPECT_EQ(pool.stats().used_bytes, before + 4 * page);
  expect_equal(cache, model);
  expect_equal(fork, fork_model);
}

TEST(SequenceCache, AFullPoolRefusesAndChangesNothing) {
  std::mt19937_64 rng(1);
  const size_t page = codec(KvFormat::kF16)->page_bytes(8);
  PagePool pool(8 * page);
  SequenceCache cache(pool, codec(KvFormat::kF16), kShape);
  Model model;
  append(cache, model, 70, rng);
  EXPECT_EQ(cache.bytes_for(58), 0u);
  EXPECT_THROW(cache.extend(59), Error);
  expect_equal(cache, model);
  append(cache, model, 58, rng);
  expect_equal(cache, model);
  cache.truncate(64);
  EXPECT_EQ(pool.free_bytes(), 4 * page);
}

TEST(PagePool, GivesZeroedPagesWithinItsBudget) {
  PagePool pool(10000);
  auto a = pool.take(4000);
  auto b = pool.take(4000);
  ASSERT_TRUE(a && b);
  EXPECT_FALSE(pool.take(4000));
  EXPECT_TRUE(pool.take(2000));  // dropped at once
  (*a)->data.bytes[7] = std::byte{9};
  a.reset();
  auto c = pool.take(4000);
  ASSERT_TRUE(c);
  EXPECT_EQ((*c)->data.bytes[7], std::byte{0});
  EXPECT_EQ(pool.stats().peak_bytes, 10000u);
}

TEST(PlainCodecs, RoundTripWithinTheirError) {
  std::mt19937_64 rng(3);
  std::normal_distribution<float> normal(0, 10);
  for (const auto& [format, error] :
       {std::pair{KvFormat::kF32, 0.0}, {KvFormat::kF16, 0x1p-11}, {KvFormat::kBF16, 0x1p-8}}) {
    for (const size_t d : {8, 40, 64, 127}) {
      const auto c = codec(format);
      Buffer<std::byte> memory(c->page_bytes(d));
      std::vector<std::vector<float>> rows(2 * kPageTokens, std::vector<float>(d));
      for (auto& row : rows)
        for (float& x : row) x = normal(rng);
      for (size_t s = 0; s < kPageTokens; ++s) {
        c->write({memory.data()}, d, s, rows[2 * s].data(), rows[2 * s + 1].data());
      }
      for (size_t s = 0; s < kPageTokens; ++s) {
        std::vector<float> k(d), v(d);
        c->read({memory.data()}, d, s, k.data(), v.data());
        for (size_t i = 0; i < d; ++i) {
          EXPECT_NEAR(k[i], rows[2 * s][i], std::fabs(rows[2 * s][i]) * error);
          EXPECT_NEAR(v[i], rows[2 * s + 1][i], std::fabs(rows[2 * s + 1][i]) * error);
        }
      }
    }
  }
  // f16 saturates instead of overflowing.
  const auto c = codec(KvFormat::kF16);
  Buffer<std::byte> memory(c->page_bytes(8));
  const float huge[8] = {1e6f, -1e6f};
  c->write({memory.data()}, 8, 0, huge, huge);
  float k[8], v[8];
  c->read({memory.data()}, 8, 0, k, v);
  EXPECT_EQ(k[0], 65504.0f);
  EXPECT_EQ(v[1], -65504.0f);
}

}  // namespace
}  // namespace fathom::kv
