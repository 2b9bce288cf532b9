#include "kv/attend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kv/store/plain.h"

namespace fathom::kv {
namespace {

using kernel::KvFormat;

std::vector<float> normals(size_t n, std::mt19937_64& rng) {
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(rng);
  return out;
}

// A sequence's tokens with their queries, keys and values; read into a cache in chunks.
struct Text {
  size_t heads, kv_heads, d, tokens;
  std::vector<float> q, k, v;

  Text(size_t h, size_t kvh, size_t dim, size_t n, uint64_t seed)
      : heads(h), kv_heads(kvh), d(dim), tokens(n) {
    std::mt19937_64 rng(seed);
    q = normals(n * h * dim, rng);
    k = normals(n * kvh * dim, rng);
    v = normals(n * kvh * dim, rng);
  }

  // Softmax attention in double of one token and head.
  std::vector<double> dense(size_t token, size_t head, int32_t window) const {
    const size_t kvh = head / (heads / kv_heads);
    std::vector<double> s(token + 1), out(d, 0.0);
    double top = -1e300, sum = 0;
    for (size_t i = 0; i <= token; ++i) {
      s[i] = -1e300;
      if (window > 0 && token - i >= size_t(window)) continue;
      s[i] = 0;
      for (size_t c = 0; c < d; ++c) {
        s[i] += double{q[(token * heads + head) * d + c]} * k[(i * kv_heads + kvh) * d + c];
      }
      s[i] /= std::sqrt(double(d));
      top = std::max(top, s[i]);
    }
    for (double& x : s) sum += x = std::exp(x - top);
    for (size_t i = 0; i <= token; ++i) {
      for (size_t c = 0; c < d; ++c) out[c] += s[i] / sum * v[(i * kv_heads + kvh) * d + c];
    }
    return out;
  }
};

// Runs the texts together, each step giving every text its next `chunk` tokens.
std::vector<std::vector<float>> run(const std::vector<Text>& texts, size_t chunk, int threads,
                                    int32_t window, const kernel::Kernels& kernels) {
  ThreadPool pool(threads);
  PagePool pages(size_t{256} << 20);
  Attender attender(pool, kernels);
  const std::shared_ptr<const StoreCodec> codec = make_plain_codec(KvFormat::kF32);
  std::vector<SequenceCache> caches;
  std::vector<std::vector<float>> outs;
  for (const Text& t : texts) {
    caches.emplace_back(pages, codec, CacheShape{1, t.kv_heads, t.d});
    outs.emplace_back(t.tokens * t.heads * t.d);
  }
  for (bool more = true; more;) {
    more = false;
    std::vector<SequenceRows> rows;
    std::vector<float> q, k, v;
    std::vector<size_t> owner, first;
    size_t total = 0;
    for (size_t i = 0; i < texts.size(); ++i) {
      const Text& t = texts[i];
      const size_t at = caches[i].length(), n = std::min(chunk, t.tokens - at);
      if (n == 0) continue;
      more = true;
      const auto take = [&](const std::vector<float>& from, size_t width, std::vector<float>& to) {
        to.insert(to.end(), from.begin() + std::ptrdiff_t(at * width),
                  from.begin() + std::ptrdiff_t((at + n) * width));
      };
      take(t.q, t.heads * t.d, q);
      take(t.k, t.kv_heads * t.d, k);
      take(t.v, t.kv_heads * t.d, v);
      caches[i].extend(n);
      rows.push_back({&caches[i], total, n});
      owner.push_back(i);
      first.push_back(at);
      total += n;
    }
    if (!more) break;
    const Text& t = texts[0];
    std::vector<float> out(total * t.heads * t.d);
    AttendLayer layer;
    layer.heads = t.heads;
    layer.q = q.data();
    layer.k = k.data();
    layer.v = v.data();
    layer.out = out.data();
    layer.scale = 1.0f / std::sqrt(float(t.d));
    layer.window = window;
    attender.run(layer, rows);
    for (size_t r = 0; r < rows.size(); ++r) {
      const size_t width = t.heads * t.d;
      std::copy_n(out.begin() + std::ptrdiff_t(rows[r].first_row * width), rows[r].tokens * width,
                  outs[owner[r]].begin() + std::ptrdiff_t(first[r] * width));
    }
  }
  return outs;
}

void expect_dense(const Text& t, const std::vector<float>& out, int32_t window) {
  for (size_t token = 0; token < t.tokens; token += token < 70 ? 1 : 37) {
    for (size_t head = 0; head < t.heads; ++head) {
      const auto want = t.dense(token, head, window);
      for (size_t c = 0; c < t.d; ++c) {
        ASSERT_NEAR(out[(token * t.heads + head) * t.d + c], want[c], 2e-5)
            << "token " << token << " head " << head;
      }
    }
  }
}

TEST(Attender, EqualsDenseForEveryGrouping) {
  for (const auto& [heads, kv_heads] : {std::pair<size_t, size_t>{4, 4}, {8, 2}, {5, 1}, {6, 3}}) {
    const Text text(heads, kv_heads, 16, 200, heads);
    for (const int32_t window : {0, 50}) {
      const auto out = run({text}, 64, 2, window, kernel::default_kernels());
      expect_dense(text, out[0], window);
    }
  }
}

// Longer than a segment, so that partial results are merged.
TEST(Attender, LongTextsMergeTheirSegments) {
  const Text text(4, 2, 8, 2500, 3);
  for (const int32_t window : {0, 1100}) {
    expect_dense(text, run({text}, 512, 3, window, kernel::default_kernels())[0], window);
  }
}

// Any chunking, any company, any number of threads: the same bits.
TEST(Attender, BitsDependOnTheTextAlone) {
  const std::vector<Text> texts = {Text(4, 2, 16, 1300, 1), Text(4, 2, 16, 70, 2),
                                   Text(4, 2, 16, 333, 3)};
  const auto want = run({texts[0]}, 1300, 1, 0, kernel::default_kernels())[0];
  for (const size_t chunk : {size_t{1}, size_t{7}, size_t{64}, size_t{500}}) {
    for (const int threads : {1, 4}) {
      EXPECT_EQ(run({texts[0]}, chunk, threads, 0, kernel::default_kernels())[0], want)
          << "chunks of " << chunk << ", " << threads << " threads";
    }
    EXPECT_EQ(run(texts, chunk, 3, 0, kernel::default_kernels())[0], want) << "together, " << chunk;
  }
}

// Forks of one prefix with ends of their own, and a stranger: attending together gives every one of
// them the bits it gets alone.
class SharedPrefix : public testing::TestWithParam<int32_t> {};

TEST_P(SharedPrefix, SameBitsAsAlone) {
  constexpr size_t kHeads = 4, kKvHeads = 2, kDim = 16, kForks = 20;  // 40 rows a head: two chains
  ThreadPool pool(3);
  PagePool pages(size_t{256} << 20);
  Attender attender(pool, kernel::default_kernels());
  std::mt19937_64 rng(4);
  const auto append = [&](std::span<SequenceCache* const> caches, size_t tokens) {
    std::vector<SequenceRows> rows;
    for (SequenceCache* cache : caches) {
      cache->extend(tokens);
      rows.push_back({cache, rows.size() * tokens, tokens});
    }
    const size_t n = caches.size() * tokens;
    const auto q = normals(n * kHeads * kDim, rng), k = normals(n * kKvHeads * kDim, rng),
               v = normals(n * kKvHeads * kDim, rng);
    std::vector<float> out(q.size());
    AttendLayer layer{0, kHeads, q.data(), k.data(), v.data(), out.data(), 0.25f, 0, GetParam()};
    attender.run(layer, rows);
    for (size_t i = 0; i < caches.size(); ++i) {  // again, each alone
      std::vector<float> alone(tokens * kHeads * kDim);
      AttendLayer one = layer;
      one.q += i * alone.size();
      one.k += i * tokens * kKvHeads * kDim;
      one.v += i * tokens * kKvHeads * kDim;
      one.out = alone.data();
      const SequenceRows row{caches[i], 0, tokens};
      attender.run(one, {&row, 1});
      EXPECT_TRUE(
          std::equal(alone.begin(), alone.end(), out.begin() + std::ptrdiff_t(i * alone.size())))
          << "sequence " << i;
    }
  };
  const std::shared_ptr<const StoreCodec> codec = make_plain_codec(KvFormat::kF32);
  std::vector<SequenceCache> caches;
  caches.emplace_back(pages, codec, CacheShape{1, kKvHeads, kDim});
  SequenceCache* first[] = {&caches[0]};
  append(first, 2100);
  caches.reserve(kForks + 1);
  for (size_t i = 1; i < kForks; ++i) caches.push_back(caches[0].fork());
  caches.emplace_back(pages, codec, CacheShape{1, kKvHeads, kDim});
  SequenceCache* stranger[] = {&caches.back()};
  append(stranger, 1200);
  for (size_t i = 0; i < kForks; ++i) {  // ends of different lengths
    SequenceCache* one[] = {&caches[i]};
    append(one, 1 + i * 13);
  }
  std::vector<SequenceCache*> all;
  for (SequenceCache& cache : caches) all.push_back(&cache);
  for (const size_t tokens : {1, 1, 2}) append(all, tokens);
}
INSTANTIATE_TEST_SUITE_P(Windows, SharedPrefix, testing::Values(0, 1500));

}  // namespace
}  // namespace fathom::kv
