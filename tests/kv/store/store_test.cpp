// S0 to S4 over every registered store, and over mixtures of them: what is read back is near what
// was written, attention over codes is attention over what is read back, needles are found, and a
// page that was filled token by token is a page that was filled at once.
#include "kv/store/store.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernel/page_code.h"
#include "kv/attend.h"
#include "kv/policy.h"
#include "kv/store/plain.h"
#include "kv/store_stage.h"

namespace fathom::kv {
namespace {

using kernel::kPageTokens;
using kernel::KvFormat;

constexpr size_t kHeads = 4, kKvHeads = 2;

// Keys with a loud channel and one that is off zero, as models have them.
struct Text {
  size_t d, tokens;
  std::vector<float> q, k, v;  // [tokens][heads or kv_heads][d]

  Text(size_t dim, size_t n, uint64_t seed)
      : d(dim), tokens(n), q(n * kHeads * d), k(n * kKvHeads * d), v(k.size()) {
    std::mt19937_64 rng(seed);
    std::normal_distribution<float> normal;
    for (float& x : q) x = normal(rng);
    for (float& x : v) x = normal(rng);
    for (size_t i = 0; i < k.size(); ++i) {
      k[i] = normal(rng) * (i % d == 5 ? 6.0f : 1.0f) + (i % d == 11 ? 4.0f : 0.0f);
    }
  }
  const float* key(size_t t, size_t h) const { return &k[(t * kKvHeads + h) * d]; }
  const float* value(size_t t, size_t h) const { return &v[(t * kKvHeads + h) * d]; }
  const float* query(size_t t, size_t h) const { return &q[(t * kHeads + h) * d]; }
};

Store store_of(const std::string& name, const Text& text, KvFormat native = KvFormat::kF32) {
  Store store = make_policy(parse_policy("store=" + name), native).store;
  KeyNorms norms{kKvHeads, text.d, std::vector<float>(kKvHeads * text.d)};
  for (size_t i = 0; i < text.k.size(); ++i) {
    norms.norms[i % norms.norms.size()] += std::fabs(text.k[i]);
  }
  store.bind(norms);
  return store;
}

// Reads tokens of the text up to `end` in steps of `chunk`; the outputs, [tokens][heads][d].
std::vector<float> read(const Text& text, size_t chunk, ThreadPool& pool, SequenceCache& cache,
                        size_t end, Attender& attender) {
  std::vector<float> out(text.q.size());
  StoreStage stage(pool, cache.store(), 1);
  end = std::min(end, text.tokens);
  for (size_t at = cache.length(); at < end; at += chunk) {
    const size_t n = std::min(chunk, end - at);
    cache.extend(n);
    AttendLayer layer{0,
                      kHeads,
                      text.query(at, 0),
                      text.key(at, 0),
                      text.value(at, 0),
                      out.data() + at * kHeads * text.d};
    layer.scale = 1.0f / std::sqrt(static_cast<float>(text.d));
    const SequenceRows rows{&cache, 0, n};
    attender.run(layer, {&rows, 1});
    stage.observe(layer, {&rows, 1});
    cache.seal(pool);
  }
  stage.after_prompt(cache);
  return out;
}

std::vector<float> read(const Text& text, size_t chunk, ThreadPool& pool, SequenceCache& cache,
                        size_t end = SIZE_MAX) {
  Attender attender(pool, kernel::default_kernels());
  return read(text, chunk, pool, cache, end, attender);
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const Method& m : all_methods()) {
    if (m.info.stage == Stage::kStore) all.emplace_back(m.info.name);
  }
  for (const char* more :
       {"q8/k2v2", "rotate2/q8", "f16/nf4", "ksort/rotate4(clip=0.9)", "nf4(basis=hadamard)",
        "fp4(basis=hadamard)", "ksort(sort=none)", "zipvl(mass=0.5,high=q8)"}) {
    all.emplace_back(more);
  }
  return all;
}

class EveryStore : public testing::TestWithParam<std::string> {
 protected:
  ThreadPool pool{3};
  PagePool pages{size_t{64} << 20};
};

// An error is at most this share of the largest number: half of Q8's step; BFP's top code, which is
// the worst of the 4-bit ones; 2-bit steps of 2/3 of the range with a fifth of it clipped away.
double share_of_peak(KvFormat format) {
  if (!kernel::is_coded(format)) return 0x1p-8;
  return format == KvFormat::kQ8 ? 0.51 / 127 : kernel::code_bits(format) == 4 ? 0.26 : 0.75;
}

TEST_P(EveryStore, S0_WhatIsReadBackIsNear) {
  for (const size_t d : {32, 64, 96}) {
    const Text text(d, 300, d);
    const Store store = store_of(GetParam(), text);
    SequenceCache cache(pages, store, {1, kKvHeads, d});
    read(text, 100, pool, cache);
    for (const bool keys : {true, false}) {
      if (keys && GetParam() == "think") continue;  // leaves out channels: think_test.cpp
      const StoreCodec& codec = store.of(0);
      const Frame* frame = keys ? codec.key_frame() : codec.value_frame();
      const KvFormat format = keys ? codec.sealed_key_format() : codec.sealed_value_format();
      std::vector<float> back(300 * d);
      keys ? cache.read_keys(0, 1, 0, back) : cache.read_values(0, 1, 0, back);
      double peak = 0, worst = 0;
      for (size_t t = 0; t < 300; ++t) {
        const float* row = keys ? text.key(t, 1) : text.value(t, 1);
        std::vector<float> want(row, row + d), got(&back[t * d], &back[t * d] + d);
        if (frame) frame->enter({0, 1}, want.data(), d);
        if (frame) frame->enter({0, 1}, got.data(), d);
        for (size_t c = 0; c < d; ++c) {
          peak = std::max(peak, std::fabs(double{want[c]}));
          worst = std::max(worst, std::fabs(double{want[c]} - got[c]));
        }
      }
      const double share = codec.chooser() ? share_of_peak(KvFormat::kQ2) : share_of_peak(format);
      EXPECT_LE(worst, share * peak + 1e-5) << d << (keys ? " keys" : " values");
    }
  }
}

// Attention in double over what the cache gives back.
std::vector<double> attention(const Text& text, size_t token, size_t head,
                              const std::vector<float>& k, const std::vector<float>& v) {
  const size_t d = text.d;
  std::vector<double> s(token + 1), out(d);
  double top = -1e300, sum = 0;
  for (size_t t = 0; t <= token; ++t) {
    for (size_t c = 0; c < d; ++c) s[t] += double{text.query(token, head)[c]} * k[t * d + c];
    s[t] /= std::sqrt(double(d));
    top = std::max(top, s[t]);
  }
  for (double& x : s) sum += x = std::exp(x - top);
  for (size_t t = 0; t <= token; ++t) {
    for (size_t c = 0; c < d; ++c) out[c] += s[t] / sum * v[t * d + c];
  }
  return out;
}

// S1: rounding of f32 sums and frames (BF16: of queries, probabilities and decoded numbers) is all
// that parts attention over codes from attention over what is read back.
TEST_P(EveryStore, S1_AttentionReadsTheCodes) {
  for (const KvFormat native : {KvFormat::kF32, KvFormat::kF16, KvFormat::kBF16}) {
    for (const size_t d : {32, 64, 96}) {
      const Text text(d, 257, 7 * d);
      const Store store = store_of(GetParam(), text, native);
      SequenceCache cache(pages, store, {1, kKvHeads, d});
      read(text, 256, pool, cache, 256);
      const std::vector<float> out = read(text, 1, pool, cache);
      const double unit = store.of(0).format() == KvFormat::kBF16 ? 2.0 / 256 : 0;
      const double eps = std::numeric_limits<float>::epsilon();
      for (size_t h = 0; h < kHeads; ++h) {
        std::vector<float> k(257 * d), v(257 * d);
        cache.read_keys(0, h / 2, 0, k);
        cache.read_values(0, h / 2, 0, v);
        const std::vector<double> want = attention(text, 256, h, k, v);
        double size = 0, length = 0;  // of a score's terms, in whatever frame; of a value
        for (size_t t = 0; t < 257; ++t) {
          double q2 = 0, k2 = 0, v2 = 0;
          for (size_t c = 0; c < d; ++c) {
            q2 += double{text.query(256, h)[c]} * text.query(256, h)[c];
            k2 += double{k[t * d + c]} * k[t * d + c];
            v2 += double{v[t * d + c]} * v[t * d + c];
          }
          size = std::max(size, std::sqrt(q2 * k2 / double(d)));
          length = std::max(length, std::sqrt(v2));
        }
        // Roundings of a score's terms are independent: BF16's add up like their root.
        const double score = (double(d) + 16) * eps * size + 4 * unit * size / std::sqrt(double(d));
        const double tol = length * (std::expm1(2 * score) + unit + 400 * eps);
        for (size_t c = 0; c < d; ++c) {
          ASSERT_NEAR(out[(256 * kHeads + h) * d + c], want[c], tol)
              << int(native) << " " << d << " head " << h;
        }
      }
    }
  }
}

// S3: a key that a query leans to gives its value, wherever it lies. The needle has e^14 of weight,
// 600 others about e^7 together.
TEST_P(EveryStore, S3_NeedlesAreFound) {
  const size_t d = 64;
  for (const size_t depth : {5, 20, 50, 80, 95}) {
    Text text(d, 600, depth);
    for (size_t i = 0; i < text.k.size(); ++i) text.k[i] /= i % d == 5 ? 6.0f : 1.0f;
    const size_t needle = 6 * depth, last = 599;
    for (size_t h = 0; h < kKvHeads; ++h) {
      double length = 0;
      for (size_t c = 0; c < d; ++c) length += std::pow(text.query(last, 2 * h)[c], 2);
      for (size_t c = 0; c < d; ++c) {
        text.k[(needle * kKvHeads + h) * d + c] =
            static_cast<float>(14 * 8 / length) * text.query(last, 2 * h)[c];
      }
    }
    SequenceCache cache(pages, store_of(GetParam(), text), {1, kKvHeads, d});
    read(text, last, pool, cache, last);
    const std::vector<float> answer = read(text, 1, pool, cache);
    for (size_t h = 0; h < kKvHeads; ++h) {
      double dot = 0, a = 0, b = 0;
      for (size_t c = 0; c < d; ++c) {
        const double x = answer[(last * kHeads + 2 * h) * d + c], y = text.value(needle, h)[c];
        dot += x * y, a += x * x, b += y * y;
      }
      EXPECT_GT(dot / std::sqrt(a * b), 0.8) << depth << "% head " << h;
    }
  }
}

TEST_P(EveryStore, S4_PagesFilledTokenByTokenAreTheSame) {
  const Text text(64, 300, 4);
  const Store store = store_of(GetParam(), text);
  SequenceCache slow(pages, store, {1, kKvHeads, 64}), fast(pages, store, {1, kKvHeads, 64});
  read(text, 1, pool, slow);
  read(text, 300, pool, fast);
  EXPECT_EQ(slow.bytes(), fast.bytes());
  for (size_t h = 0; h < kKvHeads; ++h) {
    const auto a = slow.head(0, h).pages(), b = fast.head(0, h).pages();
    ASSERT_EQ(a.size(), b.size());
    for (size_t p = 0; p < a.size(); ++p) {
      ASSERT_EQ(a[p].k_format, b[p].k_format);
      const StoreCodec* coder = slow.head(0, h).coder(p);
      ASSERT_EQ(coder, fast.head(0, h).coder(p));
      if (p < 3) {
        EXPECT_EQ(coder != nullptr, store.of(0).seals() || store.of(0).chooser());
      }
      const size_t keys = static_cast<size_t>(static_cast<const std::byte*>(a[p].v) -
                                              static_cast<const std::byte*>(a[p].k));
      const size_t values = coder ? coder->sealed_value_bytes(64) : store.of(0).value_bytes(64);
      EXPECT_EQ(0, std::memcmp(a[p].k, b[p].k, keys + values)) << p;
    }
  }
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(Registry, EveryStore, testing::ValuesIn(names()), test_name);

// Rows that are put in place of others go through the frame, too: keys at the front, and values of
// what stays.
TEST_P(EveryStore, ReplacedRowsAreReadBack) {
  const size_t d = 64;
  const Text text(d, 200, 8), other(d, 200, 9);
  const Store store = store_of(GetParam(), text);
  SequenceCache cache(pages, store, {1, kKvHeads, d});
  read(text, 200, pool, cache);
  std::vector<float> keys(4 * d), values(200 * d), k(4 * d), v(100 * d);
  std::vector<int32_t> even;
  for (size_t t = 0; t < 4; ++t) std::copy_n(other.key(t, 1), d, &keys[t * d]);
  for (int32_t t = 0; t < 200; t += 2) even.push_back(t);
  for (size_t t = 0; t < 100; ++t) std::copy_n(other.value(t, 1), d, &values[t * d]);
  cache.replace_keys(0, 1, keys);
  cache.keep(0, 1, even, values.data());  // gathered into plain pages
  cache.replace_keys(0, 1, keys);
  cache.read_keys(0, 1, 0, k);
  cache.read_values(0, 1, 0, v);
  // BF16 rounds a row, in whatever basis, by at most 2^-8 of its length, other plain formats by
  // less.
  for (const auto& [got, want] : {std::pair(&k, &keys), std::pair(&v, &values)}) {
    for (size_t i = 0; i < got->size(); ++i) {
      double length = 0;
      for (size_t c = 0; c < d; ++c) length += std::pow(double{(*want)[i / d * d + c]}, 2);
      ASSERT_NEAR((*got)[i], (*want)[i], 0x1p-8 * std::sqrt(length)) << i;
    }
  }
}

// In another basis policies choose what they chose before: with nothing encoded, outputs differ by
// rounding only, and by far more where a policy saw other channels.
TEST(Store, PoliciesSeeTheModelsChannels) {
  ThreadPool pool(2);
  PagePool pages(size_t{64} << 20);
  const Text text(64, 600, 3);
  CodedFormat format{"rotated", KvFormat::kF32, KvFormat::kF32, KvFormat::kF32};
  format.key_frame = format.value_frame = hadamard_frame();
  const Store stores[] = {make_plain_codec(KvFormat::kF32), make_coded_codec(format)};
  for (const char* line : {"", "prefill=xattention(threshold=0.5,stride=8)",
                           "prefill=minference(vertical=30,slash=30)", "fetch=quest(budget=128)"}) {
    const Policy policy = make_policy(parse_policy(line), KvFormat::kF32);
    std::vector<float> outs[2];
    for (size_t i = 0; i < 2; ++i) {
      SequenceCache cache(pages, stores[i], {1, kKvHeads, 64});
      Attender attender(pool, kernel::default_kernels(), policy.prefill, policy.fetch);
      outs[i] = read(text, 590, pool, cache, 590, attender);
      const std::vector<float> steps = read(text, 1, pool, cache, 600, attender);
      std::copy(steps.end() - 10 * kHeads * 64, steps.end(), outs[i].end() - 10 * kHeads * 64);
    }
    for (size_t i = 0; i < outs[0].size(); ++i) ASSERT_NEAR(outs[0][i], outs[1][i], 2e-4) << line;
  }
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
  return sum;
}

TEST(Frame, KeepsProductsAndComesBack) {
  for (const size_t d : {8, 32, 40, 64, 80, 96, 128, 256}) {
    KeyNorms norms{2, d, std::vector<float>(2 * d)};
    std::mt19937_64 rng(d);
    std::normal_distribution<float> normal;
    for (float& x : norms.norms) x = std::fabs(normal(rng));
    for (const auto& frame : {hadamard_frame(), sorted_frame(norms)}) {
      std::vector<float> a(d), b(d);
      for (float& x : a) x = normal(rng);
      for (float& x : b) x = normal(rng);
      std::vector<float> fa = a, fb = b;
      frame->enter({0, 1}, fa.data(), d);
      frame->enter({0, 1}, fb.data(), d);
      EXPECT_NE(fa, a);
      EXPECT_NEAR(dot(fa, fb), dot(a, b), 1e-5 * std::sqrt(dot(a, a) * dot(b, b)));
      frame->leave({0, 1}, fa.data(), d);
      for (size_t c = 0; c < d; ++c) EXPECT_NEAR(fa[c], a[c], 1e-5 * std::sqrt(dot(a, a)));
    }
  }
}

TEST(Frame, HadamardIsSylvesters) {
  for (size_t i = 0; i < 16; ++i) {
    std::vector<float> unit(16);
    unit[i] = 1;
    hadamard_frame()->enter({}, unit.data(), 16);
    for (size_t j = 0; j < 16; ++j) {
      EXPECT_EQ(unit[j], __builtin_popcountll(i & j) % 2 ? -0.25f : 0.25f);
    }
  }
}

TEST(Frame, SortedChannelsAscend) {
  std::vector<float> row{10, 11, 12, 13};
  sorted_frame({1, 4, {3, 1, 2, 1}})->enter({0, 0}, row.data(), 4);
  EXPECT_EQ(row, (std::vector<float>{11, 13, 12, 10}));
}

// Error of the keys read back, relative.
double key_error(const std::string& name, const Text& text, ThreadPool& pool) {
  PagePool pages(size_t{64} << 20);
  SequenceCache cache(pages, store_of(name, text), {1, kKvHeads, text.d});
  read(text, text.tokens, pool, cache);
  const size_t sealed = text.tokens - kPageTokens;
  std::vector<float> back(sealed * text.d);
  cache.read_keys(0, 0, 0, back);
  double off = 0, size = 0;
  for (size_t i = 0; i < back.size(); ++i) {
    const float want = text.key(i / text.d, 0)[i % text.d];
    off += std::pow(double{back[i]} - want, 2);
    size += double{want} * want;
  }
  return std::sqrt(off / size);
}

// What the methods are for: loud channels share blocks, or are spread, so that others lose less.
TEST(Store, OutliersCostLess) {
  ThreadPool pool(2);
  Text text(128, 320, 9);
  for (size_t i = 0; i < text.k.size(); ++i) text.k[i] *= i % 128 % 9 == 0 ? 8.0f : 1.0f;
  EXPECT_LT(key_error("ksort", text, pool), 0.8 * key_error("ksort(sort=none)", text, pool));
  // One scale for a token's channels, with and without the rotation.
  PagePool pages(size_t{16} << 20);
  CodedFormat raw{"raw", KvFormat::kT4, KvFormat::kT4, KvFormat::kF32, 64};
  SequenceCache cache(pages, make_coded_codec(raw), {1, kKvHeads, 128});
  read(text, 320, pool, cache);
  std::vector<float> back(256 * 128);
  cache.read_keys(0, 0, 0, back);
  double off = 0, quiet = 0;  // in the channels that are not loud
  for (size_t i = 0; i < back.size(); ++i) {
    if (i % 128 % 9 == 0 || i % 128 == 5 || i % 128 == 11) continue;
    off += std::pow(double{back[i]} - text.key(i / 128, 0)[i % 128], 2);
    quiet += std::pow(double{text.key(i / 128, 0)[i % 128]}, 2);
  }
  EXPECT_GT(std::sqrt(off / quiet), 2 * key_error("rotate4", text, pool));
}

}  // namespace
}  // namespace fathom::kv
