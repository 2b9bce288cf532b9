#include "kv/extra_token.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kv/attend.h"
#include "kv/store/coded.h"
#include "kv/store/plain.h"

namespace fathom::kv {
namespace {

constexpr size_t kHeads = 4, kKvHeads = 2, kDim = 24;

std::vector<float> normals(size_t n, uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(rng);
  return out;
}

// In double: softmax over the keys, key i counted weight[i] times.
std::vector<double> attend(const float* q, std::span<const float> k, std::span<const float> v,
                           std::span<const double> weight, const AttendLayer& layer) {
  std::vector<double> out(kDim);
  double sum = 0;
  for (size_t i = 0; i < weight.size(); ++i) {
    double s = 0;
    for (size_t c = 0; c < kDim; ++c) s += double{q[c]} * k[i * kDim + c];
    s *= double{layer.scale};
    if (layer.soft_cap > 0) s = double{layer.soft_cap} * std::tanh(s / double{layer.soft_cap});
    const double p = weight[i] * std::exp(s);
    for (size_t c = 0; c < kDim; ++c) out[c] += p * v[i * kDim + c];
    sum += p;
  }
  for (double& x : out) x /= sum;
  return out;
}

// A cache whose heads hold `kept` tokens at the end of `length`, and what they are.
struct Made {
  PagePool pages{size_t{64} << 20};
  SequenceCache cache;
  std::vector<float> k[kKvHeads], v[kKvHeads];

  explicit Made(Store store = make_plain_codec(kernel::KvFormat::kF32))
      : cache(pages, std::move(store), {1, kKvHeads, kDim}) {}

  void append(size_t tokens, uint64_t seed) {
    const size_t first = cache.length();
    cache.extend(tokens);
    for (size_t h = 0; h < kKvHeads; ++h) {
      const auto fresh_k = normals(tokens * kDim, seed + h),
                 fresh_v = normals(tokens * kDim, ~seed);
      cache.write(0, h, first, {fresh_k.data(), fresh_v.data(), kDim, tokens});
      k[h].insert(k[h].end(), fresh_k.begin(), fresh_k.end());
      v[h].insert(v[h].end(), fresh_v.begin(), fresh_v.end());
    }
  }
};

// `tokens` queries at the end of the cache against the reference.
void expect_attention(Made& made, Attender& attender, size_t tokens, float soft_cap) {
  const auto q = normals(tokens * kHeads * kDim, 9), k = normals(tokens * kKvHeads * kDim, 10),
             v = normals(tokens * kKvHeads * kDim, 11);
  std::vector<float> out(q.size());
  AttendLayer layer{0, kHeads, q.data(), k.data(), v.data(), out.data(), 0.2f, soft_cap};
  SequenceCache cache = made.cache.fork();
  cache.extend(tokens);
  const SequenceRows rows{&cache, 0, tokens};
  attender.run(layer, {&rows, 1});
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t h = 0; h < kHeads; ++h) {
      const size_t kvh = h / 2;
      std::vector<float> keys = made.k[kvh], values = made.v[kvh];
      for (size_t i = 0; i <= t; ++i) {
        const size_t at = (i * kKvHeads + kvh) * kDim;
        keys.insert(keys.end(), &k[at], &k[at] + kDim);
        values.insert(values.end(), &v[at], &v[at] + kDim);
      }
      std::vector<double> weight(keys.size() / kDim, 1.0);
      const ExtraToken& extra = cache.head(0, kvh).extra();
      if (extra.count > 0) {
        std::vector<float> extra_k = extra.k, extra_v = extra.v;
        const StoreCodec& codec = cache.codec(0);
        if (codec.key_frame()) codec.key_frame()->leave({0, kvh}, extra_k.data(), kDim);
        if (codec.value_frame()) codec.value_frame()->leave({0, kvh}, extra_v.data(), kDim);
        keys.insert(keys.end(), extra_k.begin(), extra_k.end());
        values.insert(values.end(), extra_v.begin(), extra_v.end());
        weight.push_back(extra.count);
      }
      const size_t row = (t * kHeads + h) * kDim;
      const auto want = attend(&q[row], keys, values, weight, layer);
      for (size_t c = 0; c < kDim; ++c) ASSERT_NEAR(out[row + c], want[c], 3e-6) << t << " " << h;
    }
  }
}

// Prompts, single steps, few and many pages, soft caps; one head has an extra token, one has none.
TEST(ExtraToken, CountsAsOftenAsItStandsFor) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    Attender attender(pool, kernel::default_kernels());
    for (const size_t tokens : {40u, 1500u}) {
      Made made;
      made.append(tokens, 1);
      made.cache.add_extra(0, 1, {normals(kDim, 2), normals(kDim, 3), 37.0});
      for (const float cap : {0.0f, 5.0f}) {
        expect_attention(made, attender, 1, cap);
        expect_attention(made, attender, 70, cap);
      }
    }
  }
}

TEST(ExtraToken, FetchedKeysJoinIt) {
  ThreadPool pool(2);
  Attender attender(
      pool, kernel::default_kernels(), nullptr,
      make_policy(parse_policy("fetch=quest(budget=4096)"), kernel::KvFormat::kF32).fetch);
  Made made;
  made.append(300, 4);
  made.cache.add_extra(0, 0, {normals(kDim, 5), normals(kDim, 6), 1000.0});
  expect_attention(made, attender, 1, 0);
}

// A store that keeps channels in another basis keeps the extra token there, too.
TEST(ExtraToken, LiesInTheStoresFrame) {
  constexpr kernel::KvFormat kF32 = kernel::KvFormat::kF32;
  ThreadPool pool(2);
  Attender attender(pool, kernel::default_kernels());
  CodedFormat format{"rotated", kF32, kF32, kF32};
  format.key_frame = format.value_frame = hadamard_frame();
  Made made(make_coded_codec(format));
  made.append(300, 4);
  const auto k = normals(kDim, 5);
  made.cache.add_extra(0, 0, {k, normals(kDim, 6), 1000.0});
  EXPECT_NE(made.cache.head(0, 0).extra().k, k);
  expect_attention(made, attender, 1, 0);
  expect_attention(made, attender, 70, 5);
}

// Later ones join earlier ones as if all had been dropped at once; a cut to nothing forgets them.
TEST(ExtraToken, MeansOfMeans) {
  Made made;
  made.append(10, 7);
  const auto k = normals(5 * kDim, 8);
  const auto mean = [&](size_t first, size_t n) {
    std::vector<float> out(kDim);
    for (size_t i = first; i < first + n; ++i) {
      for (size_t c = 0; c < kDim; ++c) out[c] += k[i * kDim + c] / float(n);
    }
    return out;
  };
  made.cache.add_extra(0, 0, {mean(0, 2), mean(0, 2), 2});
  made.cache.add_extra(0, 0, {mean(2, 3), mean(2, 3), 3});
  const ExtraToken& extra = made.cache.head(0, 0).extra();
  EXPECT_EQ(extra.count, 5.0);
  for (size_t c = 0; c < kDim; ++c) EXPECT_NEAR(extra.k[c], mean(0, 5)[c], 1e-6);
  for (size_t c = 0; c < kDim; ++c) EXPECT_NEAR(extra.v[c], mean(0, 5)[c], 1e-6);
  made.cache.truncate(0);
  EXPECT_EQ(extra.count, 0.0);
}

}  // namespace
}  // namespace fathom::kv
