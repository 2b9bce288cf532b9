#include "kernel/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/half.h"
#include "kernel/cases.h"
#include "kernel/kernels.h"
#include "kernel/page_code.h"

namespace fathom::kernel {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float rounded(KvFormat format, float x) {
  if (format == KvFormat::kF16) return to_float(to_half(x));
  if (format == KvFormat::kBF16) return to_float(to_bfloat(x));
  return x;
}

// Keys and values of one head, laid out in pages of one format, and a tile of queries.
struct Problem {
  AttendCase shape;
  KvFormat format;
  std::vector<float> k, v, q;  // [keys][d], [keys][d] after rounding to the format; [rows][d]
  std::vector<int32_t> key_positions, query_positions;
  std::vector<Buffer<std::byte>> memory;
  std::vector<PageView> pages;

  Problem(const AttendCase& c, KvFormat f, uint64_t seed, float q_size = 1.0f)
      : shape(c), format(f), k(c.keys * c.head_dim), v(k.size()), q(c.rows * c.head_dim) {
    std::mt19937_64 rng(seed);
    std::normal_distribution<float> normal;
    for (float& x : k) x = rounded(f, normal(rng));
    for (float& x : v) x = rounded(f, normal(rng));
    for (float& x : q) x = normal(rng) * q_size;
    for (size_t i = 0; i < c.keys; ++i) {
      const int32_t gap = c.scattered ? static_cast<int32_t>(rng() % 3) : 0;
      key_positions.push_back((i ? key_positions.back() + 1 : 0) + gap);
    }
    for (size_t r = 0; r < c.rows; ++r) {  // the last rows of a causal chunk, and one at the start
      const int32_t last = key_positions.back();
      query_positions.push_back(r == 0 ? last
                                       : std::max<int32_t>(0, last - 3 * static_cast<int32_t>(r)));
    }
    for (size_t first = 0; first < c.keys; first += kPageTokens) add_page(first);
  }

  void put(void* page, size_t plane, size_t pair, float x) const {
    if (format == KvFormat::kF32) static_cast<float*>(page)[plane] = x;
    if (format == KvFormat::kF16) static_cast<Half*>(page)[plane] = to_half(x);
    if (format == KvFormat::kBF16) static_cast<BFloat*>(page)[pair] = to_bfloat(x);
  }

  void add_page(size_t first) {
    const size_t d = shape.head_dim, v_dim = padded_head_dim(d);
    const size_t n = std::min(kPageTokens, shape.keys - first);
    Buffer<std::byte> keys((d + 1) * kPageTokens * 4), values(kPageTokens * v_dim * 4);
    for (size_t slot = 0; slot < n; ++slot) {
      for (size_t c = 0; c < d; ++c) {
        put(keys.data(), c * kPageTokens + slot, (c / 2 * kPageTokens + slot) * 2 + c % 2,
            k[(first + slot) * d + c]);
        put(values.data(), slot * v_dim + c, (slot / 2 * v_dim + c) * 2 + slot % 2,
            v[(first + slot) * d + c]);
      }
    }
    pages.push_back({keys.data(), values.data(), static_cast<int32_t>(n), key_positions[first],
                     nullptr, format, format});
    memory.push_back(std::move(keys));
    memory.push_back(std::move(values));
    if (shape.scattered) {
      Buffer<std::byte> positions(kPageTokens * 4);
      std::memcpy(positions.data(), &key_positions[first], n * 4);
      pages.back().positions = reinterpret_cast<const int32_t*>(positions.data());
      memory.push_back(std::move(positions));
    }
  }
};

// Encodes every page but the last; k and v become what the codes mean. Two roundings more.
void encode(Problem& p, KvFormat k_format, KvFormat v_format) {
  const size_t d = p.shape.head_dim;
  for (size_t page = 0; page + 1 < p.pages.size(); ++page) {
    for (const Plane plane : {Plane::kKeys, Plane::kValues}) {
      const KvFormat format = plane == Plane::kKeys ? k_format : v_format;
      if (!is_coded(format)) continue;
      const PlaneShape shape = plane_shape(plane, d);
      std::vector<float>& numbers = plane == Plane::kKeys ? p.k : p.v;
      std::vector<float> x(shape.lines * shape.lanes);
      const auto at = [&](size_t slot, size_t c) {
        return plane == Plane::kKeys ? c * shape.lanes + slot : slot * shape.lanes + c;
      };
      float* rows = &numbers[page * kPageTokens * d];
      for (size_t i = 0; i < kPageTokens * d; ++i) x[at(i / d, i % d)] = rows[i];
      Buffer<std::byte> coded(coded_bytes(format, plane, d));
      encode_plane(format, plane, d, x.data(), coded.data());
      for (size_t i = 0; i < kPageTokens * d; ++i) {
        const size_t line = plane == Plane::kKeys ? i % d : i / d;
        const size_t lane = plane == Plane::kKeys ? i / d : i % d;
        rows[i] = decode_code(format, plane, d, coded.data(), line, lane);
      }
      (plane == Plane::kKeys ? p.pages[page].k : p.pages[page].v) = coded.data();
      (plane == Plane::kKeys ? p.pages[page].k_format : p.pages[page].v_format) = format;
      p.memory.push_back(std::move(coded));
    }
  }
}

struct Output {
  std::vector<float> max, sum, out;
  explicit Output(const Problem& p)
      : max(p.shape.rows, -kInfinity),
        sum(p.shape.rows, 0.0f),
        out(p.shape.rows * padded_head_dim(p.shape.head_dim), 0.0f) {}
  AttendState state() { return {max.data(), sum.data(), out.data()}; }
};

// Rows [begin, end) over pages [first, last), continuing `o`; by the first `key_dim` channels, if
// there is such a number.
void attend(const Kernels& kernels, const Problem& p, Output& o, std::pair<size_t, size_t> rows,
            std::pair<size_t, size_t> pages, size_t key_dim = 0) {
  Buffer<std::byte> scratch(attend_scratch_bytes(p.shape.head_dim));
  const size_t v_dim = padded_head_dim(p.shape.head_dim);
  AttendArgs a;
  a.format = p.format;
  a.head_dim = p.shape.head_dim;
  a.rows = rows.second - rows.first;
  a.q = p.q.data() + rows.first * p.shape.head_dim;
  std::vector<float> cut;
  if (key_dim > 0) {
    for (size_t r = rows.first; r < rows.second; ++r) {
      const float* q = p.q.data() + r * p.shape.head_dim;
      cut.insert(cut.end(), q, q + key_dim);
    }
    a.q = cut.data();
    a.key_dim = key_dim;
  }
  a.positions = p.query_positions.data() + rows.first;
  a.window = p.shape.window;
  a.scale = 1.0f / std::sqrt(static_cast<float>(p.shape.head_dim));
  a.soft_cap = p.shape.soft_cap;
  a.pages = p.pages.data() + pages.first;
  a.page_count = pages.second - pages.first;
  a.state = {o.max.data() + rows.first, o.sum.data() + rows.first,
             o.out.data() + rows.first * v_dim};
  a.scratch = scratch.data();
  kernels.attend(p.format)(a);
}

struct Dense {
  std::vector<double> out;
  double lse = -INFINITY;
  double error = 0;  // bound on a score's rounding, see below
};

// Softmax attention of one row in double, over what it may see.
Dense dense_row(const Problem& p, size_t row) {
  const size_t d = p.shape.head_dim;
  const double scale = 1.0 / std::sqrt(static_cast<double>(d));
  std::vector<double> s(p.shape.keys, -INFINITY);
  Dense result{std::vector<double>(d, 0.0)};
  double top = -INFINITY;
  for (size_t i = 0; i < p.shape.keys; ++i) {
    const int32_t at = p.key_positions[i], query = p.query_positions[row];
    if (at > query || (p.shape.window > 0 && at <= query - p.shape.window)) continue;
    if ((p.pages[i / kPageTokens].slots >> i % kPageTokens & 1) == 0) continue;
    double sum = 0, size = 0;
    for (size_t c = 0; c < d; ++c) {
      const double term = double{p.q[row * d + c]} * p.k[i * d + c] * scale;
      sum += term;
      size += std::fabs(term);
    }
    s[i] = p.shape.soft_cap > 0 ? p.shape.soft_cap * std::tanh(sum / p.shape.soft_cap) : sum;
    result.error = std::max(result.error, size);
    top = std::max(top, s[i]);
  }
  if (top == -INFINITY) return result;
  double total = 0;
  for (double& x : s) total += x = std::exp(x - top);
  for (size_t i = 0; i < p.shape.keys; ++i) {
    for (size_t c = 0; c < d; ++c) result.out[c] += s[i] / total * p.v[i * d + c];
  }
  result.lse = top + std::log(total);
  return result;
}

// A score is off by at most e = (d + 4) eps sum|q k|, which changes a probability by the factor
// exp(+-2e), and sums of n terms add n eps. BF16 kernels round q, p and decoded numbers to 8 bits.
double tolerance(const Kernels& kernels, const Problem& p, const Dense& want, double v_max) {
  const double eps = std::numeric_limits<float>::epsilon();
  const bool bf16 = kernels.name == "avx512bf16" && p.format == KvFormat::kBF16;
  const bool coded = is_coded(p.pages.front().k_format);
  const double unit = bf16 ? (coded ? 2.0 : 1.0) / 256 : 0.0;
  const double score = (double(p.shape.head_dim) * eps + 4 * eps + unit) * want.error;
  return v_max * (2 * std::expm1(2 * score) + unit + (double(p.shape.keys) + 50) * eps);
}

void expect_right(const Kernels& kernels, const Problem& p, Output& o) {
  const size_t d = p.shape.head_dim;
  std::vector<float> out(p.shape.rows * d), lse(p.shape.rows);
  finish_attention(o.state(), p.shape.rows, d, {out.data(), d, lse.data()});
  double v_max = 0;
  for (const float x : p.v) v_max = std::max(v_max, std::fabs(double{x}));
  for (size_t r = 0; r < p.shape.rows; ++r) {
    const Dense want = dense_row(p, r);
    const double tol = tolerance(kernels, p, want, v_max);
    if (std::isinf(want.lse)) {
      EXPECT_EQ(lse[r], -kInfinity);
    } else {
      ASSERT_NEAR(lse[r], want.lse, tol) << kernels.name << " " << p.shape.name << " row " << r;
    }
    for (size_t c = 0; c < d; ++c) {
      ASSERT_NEAR(out[r * d + c], want.out[c], tol)
          << kernels.name << " " << p.shape.name << " format " << int(p.format) << " row " << r
          << " channel " << c;
    }
  }
}

class Attend : public testing::TestWithParam<const Kernels*> {
 protected:
  void SetUp() override {
    if (!GetParam()->runs_here()) GTEST_SKIP() << "this processor lacks " << GetParam()->name;
  }
};

constexpr KvFormat kFormats[] = {KvFormat::kF32, KvFormat::kF16, KvFormat::kBF16};

TEST_P(Attend, EqualsSoftmaxInDouble) {
  for (const KvFormat format : kFormats) {
    for (const AttendCase& c : kAttendCases) {
      const Problem p(c, format, 11);
      Output o(p);
      attend(*GetParam(), p, o, {0, c.rows}, {0, p.pages.size()});
      expect_right(*GetParam(), p, o);
    }
  }
}

// Lines of the first channels are what a plane begins with, so its first part is a thin plane.
// Of some pages nothing, of some a few keys here and there, of some all.
TEST_P(Attend, ReadsTheSlotsThatArePicked) {
  constexpr uint64_t kPicked[] = {0x0000'0000'0001'0000, 0x8000'0000'0000'70f0, ~uint64_t{0}, 0,
                                  0x0000'ffff'0000'0000, 0x00f0'1000'0001'0003};
  for (const AttendCase& c : kAttendCases) {
    for (const KvFormat f : kFormats) {
      Problem p(c, f, 11);
      for (size_t i = 0; i < p.pages.size(); ++i) p.pages[i].slots = kPicked[i % 6];
      Output o(p);
      attend(*GetParam(), p, o, {0, c.rows}, {0, p.pages.size()});
      expect_right(*GetParam(), p, o);
    }
  }
}

TEST_P(Attend, ThinKeysAreThoseOfTheirChannels) {
  for (const KvFormat format : kFormats) {
    for (const AttendCase& c : kAttendCases) {
      for (const size_t channels : {size_t{2}, c.head_dim / 2, c.head_dim - 1}) {
        Problem p(c, format, 13);
        for (size_t i = 0; i < p.q.size(); ++i) {
          if (i % c.head_dim >= channels) p.q[i] = 0;
        }
        Output o(p);
        attend(*GetParam(), p, o, {0, c.rows}, {0, p.pages.size()}, channels);
        expect_right(*GetParam(), p, o);
      }
    }
  }
}

constexpr std::pair<KvFormat, KvFormat> kCodedPairs[] = {
    {KvFormat::kQ8, KvFormat::kQ8},   {KvFormat::kQ4, KvFormat::kQ4},
    {KvFormat::kQ2, KvFormat::kQ2},   {KvFormat::kQ8, KvFormat::kQ4},
    {KvFormat::kQ4, KvFormat::kBF16}, {KvFormat::kT4, KvFormat::kT4},
    {KvFormat::kT2, KvFormat::kT2},   {KvFormat::kNf4, KvFormat::kNf4},
    {KvFormat::kFp4, KvFormat::kFp4}, {KvFormat::kBfp4, KvFormat::kBfp4}};

TEST_P(Attend, ReadsCodedPagesBesidePlainOnes) {
  for (const KvFormat format : kFormats) {
    for (const auto& [k_format, v_format] : kCodedPairs) {
      if (!is_coded(v_format) && v_format != format) continue;
      for (const AttendCase& c : kAttendCases) {
        Problem p(c, format, 31);
        encode(p, k_format, v_format);
        Output o(p);
        attend(*GetParam(), p, o, {0, c.rows}, {0, p.pages.size()});
        expect_right(*GetParam(), p, o);
      }
    }
  }
}

// Nor, where codes are read straight for few rows and copied for many, on how they are read.
TEST_P(Attend, BitsOfCodedPagesDoNotDependOnTheTile) {
  for (const auto& [k_format, v_format] : kCodedPairs) {
    for (const size_t d : {64, 80, 128}) {
      Problem p({"tile", d, 24, 200}, GetParam()->native_kv, 9);
      if (!is_coded(v_format) && v_format != GetParam()->native_kv) continue;
      encode(p, k_format, v_format);
      Output whole(p), parts(p);
      attend(*GetParam(), p, whole, {0, 24}, {0, p.pages.size()});
      for (size_t r = 0, n = 1; r < 24; r += n, ++n) {
        attend(*GetParam(), p, parts, {r, std::min<size_t>(24, r + n)}, {0, p.pages.size()});
      }
      EXPECT_EQ(whole.max, parts.max);
      EXPECT_EQ(whole.sum, parts.sum);
      EXPECT_EQ(whole.out, parts.out);
    }
  }
}

TEST_P(Attend, SurvivesHugeScores) {
  for (const KvFormat format : kFormats) {
    const Problem p({"huge", 64, 8, 130}, format, 5, 1e4f);
    Output o(p);
    attend(*GetParam(), p, o, {0, 8}, {0, p.pages.size()});
    for (const float x : o.out) EXPECT_TRUE(std::isfinite(x));
  }
}

// A score of 1e4 makes the softmax one-hot: the output is that token's value, exactly.
TEST_P(Attend, OneHotScoresReturnOneValue) {
  for (const KvFormat format : kFormats) {
    AttendCase c{"one_hot", 64, 4, 64};
    Problem p(c, format, 1);
    for (size_t r = 0; r < 4; ++r) {
      for (size_t i = 0; i < 64; ++i) p.q[r * 64 + i] = i == 10 + r ? 80000.0f : 0.0f;
    }
    for (size_t slot = 0; slot < 64; ++slot) {  // token t has key unit(t)
      for (size_t ch = 0; ch < 64; ++ch) {
        const float x = slot == ch ? 1.0f : 0.0f;
        p.put(p.memory[0].data(), ch * 64 + slot, (ch / 2 * 64 + slot) * 2 + ch % 2, x);
      }
    }
    for (int32_t& at : p.query_positions) at = 63;
    Output o(p);
    attend(*GetParam(), p, o, {0, 4}, {0, 1});
    std::vector<float> out(4 * 64);
    finish_attention(o.state(), 4, 64, {out.data(), 64, nullptr});
    for (size_t r = 0; r < 4; ++r) {
      for (size_t ch = 0; ch < 64; ++ch) EXPECT_EQ(out[r * 64 + ch], p.v[(10 + r) * 64 + ch]);
    }
  }
}

// A row's bits do not depend on the rows beside it.
TEST_P(Attend, BitsDoNotDependOnTheTile) {
  for (const KvFormat format : kFormats) {
    for (const AttendCase& c :
         {AttendCase{"tile", 64, 64, 500}, AttendCase{"tile", 80, 64, 90, 40}}) {
      const Problem p(c, format, 9);
      Output whole(p), parts(p);
      attend(*GetParam(), p, whole, {0, 64}, {0, p.pages.size()});
      for (size_t r = 0, n = 1; r < 64; r += n, ++n) {
        attend(*GetParam(), p, parts, {r, std::min<size_t>(64, r + n)}, {0, p.pages.size()});
      }
      EXPECT_EQ(whole.max, parts.max);
      EXPECT_EQ(whole.sum, parts.sum);
      EXPECT_EQ(whole.out, parts.out);
    }
  }
}

TEST_P(Attend, PartialsOfAnyCutMerge) {
  const Problem p({"merge", 64, 20, 700}, KvFormat::kF32, 21);
  for (const size_t cut : {0, 1, 5, 10, 11}) {
    Output low(p), high(p);
    attend(*GetParam(), p, low, {0, 20}, {0, cut});
    attend(*GetParam(), p, high, {0, 20}, {cut, p.pages.size()});
    merge_partials(low.state(), high.state(), 20, 64);
    expect_right(*GetParam(), p, low);
  }
}

// Pages that a row may not see leave its state as it was, bit for bit.
TEST_P(Attend, UnseenPagesChangeNothing) {
  for (const KvFormat format : kFormats) {
    Problem p({"unseen", 64, 3, 256}, format, 2);
    p.query_positions = {255, 70, 5};
    Output all(p), row1(p), row2(p);
    attend(*GetParam(), p, all, {0, 3}, {0, 4});
    attend(*GetParam(), p, row1, {1, 2}, {0, 2});
    attend(*GetParam(), p, row2, {2, 3}, {0, 1});
    EXPECT_EQ(0, std::memcmp(&all.out[64], &row1.out[64], 64 * sizeof(float)));
    EXPECT_EQ(0, std::memcmp(&all.out[128], &row2.out[128], 64 * sizeof(float)));
    EXPECT_EQ(all.sum[1], row1.sum[1]);
    EXPECT_EQ(all.sum[2], row2.sum[2]);
  }
}

std::vector<const Kernels*> tables() { return {all_kernels().begin(), all_kernels().end()}; }
std::string table_name(const testing::TestParamInfo<const Kernels*>& info) {
  return std::string(info.param->name);
}
INSTANTIATE_TEST_SUITE_P(EachIsa, Attend, testing::ValuesIn(tables()), table_name);

TEST(MergePartials, EmptyPartsAreTheIdentity) {
  std::vector<float> max{3.0f, -kInfinity}, sum{2.0f, 0.0f}, out(32, 1.5f);
  std::vector<float> no_max{-kInfinity, -kInfinity}, no_sum{0, 0}, no_out(32, 0.0f);
  merge_partials({max.data(), sum.data(), out.data()},
                 {no_max.data(), no_sum.data(), no_out.data()}, 2, 16);
  EXPECT_EQ(max[0], 3.0f);
  EXPECT_EQ(sum[0], 2.0f);
  EXPECT_EQ(out[0], 1.5f);
  EXPECT_EQ(max[1], -kInfinity);
  std::vector<float> result(32), lse(2);
  finish_attention({no_max.data(), no_sum.data(), no_out.data()}, 2, 16,
                   {result.data(), 16, lse.data()});
  EXPECT_EQ(result[0], 0.0f);
  EXPECT_EQ(lse[0], -kInfinity);
}

}  // namespace
}  // namespace fathom::kernel
