// Our codes against those of the methods' own implementations on the recorded layer.
//
// Theirs have scales in f32, ours in f16, which moves x / scale by up to 2^-11 of itself: where a
// half is nearer than that a code may differ by 1. All other codes are equal.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "base/half.h"
#include "kernel/page_code.h"
#include "kv/policy.h"
#include "kv/replay/attend_lists.h"
#include "kv/replay/replay.h"
#include "kv/rope.h"
#include "support/method_reference.h"

namespace fathom::kv {
namespace {

using kernel::kPageTokens;
using kernel::KvFormat;
using kernel::Plane;
using kernel::PlaneShape;
using test::expected_floats;
using test::expected_integers;
using test::recorded_layer;

constexpr double kUlp = 0x1p-11;  // of f16, relative

// A plane of 64 lines or lanes, encoded, with its parts as page_code.h says they lie.
struct Encoded {
  KvFormat format;
  Plane plane;
  size_t d;
  PlaneShape shape;
  std::vector<uint8_t> bytes;

  Encoded(KvFormat f, Plane p, size_t head_dim, const std::vector<float>& x, float clip = 1)
      : format(f), plane(p), d(head_dim), shape(kernel::plane_shape(p, head_dim)) {
    bytes.resize(kernel::coded_bytes(f, p, head_dim));
    kernel::encode_plane(f, p, head_dim, x.data(), bytes.data(), clip);
  }
  int code(size_t line, size_t lane) const {
    return kernel::code_at(format, plane, d, bytes.data(), line, lane);
  }
  // Scale (0) or minimum (1) of the group that a line and lane are in.
  float number(size_t kind, size_t line, size_t lane) const {
    return kernel::number_at(format, plane, d, bytes.data(), {kind, line, lane});
  }
  float value(size_t line, size_t lane) const {
    return kernel::decode_code(format, plane, d, bytes.data(), line, lane);
  }
};

bool near_half(double t, double margin) {
  return std::fabs(std::fabs(t - std::floor(t)) - 0.5) <= margin;
}

// --- KIVI -----------------------------------------------------------------------------------

// What KIVI makes of the prompt, [kv head][token][channel], from its codes, scales and minimums.
struct Kivi {
  std::vector<int64_t> codes;
  std::vector<float> scale, minimum, numbers;

  Kivi(const std::string& name, bool keys)
      : codes(expected_integers(name + ".codes")),
        scale(expected_floats(name + ".scale")),
        minimum(expected_floats(name + ".min")),
        numbers(codes.size()) {
    for (size_t i = 0; i < codes.size(); ++i) {
      const size_t head = i / (2048 * 32), t = i / 32 % 2048, c = i % 32;
      const size_t g = keys ? (head * 64 + t / 32) * 32 + c : head * 2048 + t;
      numbers[i] = static_cast<float>(codes[i]) * scale[g] + minimum[g];
    }
  }
};

class KiviCodes : public testing::TestWithParam<int> {
 protected:
  KvFormat format() const { return GetParam() == 2 ? KvFormat::kQ2 : KvFormat::kQ4; }
  std::string name(char side) const {
    return std::string("kivi.") + side + std::to_string(GetParam());
  }
};

// One group's code against KIVI's.
void expect_code(const Encoded& page, size_t line, size_t lane, float x, const Kivi& want,
                 size_t at, size_t want_group, size_t& moved) {
  const double s = want.scale[want_group], m = want.minimum[want_group];
  ASSERT_NEAR(page.number(0, line, lane), s, s * kUlp);
  ASSERT_NEAR(page.number(1, line, lane), m, std::fabs(m) * kUlp);
  const double t = (x - m) / s;
  const int off = page.code(line, lane) - static_cast<int>(want.codes[at]);
  if (off == 0) return;
  ++moved;
  EXPECT_EQ(std::abs(off), 1);
  EXPECT_TRUE(near_half(t, (std::fabs(m) / s + t) * kUlp * 1.01 + 1e-4)) << t;
}

TEST_P(KiviCodes, KeysAreTheRepositorys) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Kivi want(name('k'), true);
  size_t moved = 0;
  for (size_t h = 0; h < 4; ++h) {
    const HeadView head = recorded_layer().head(h, 2048);
    for (size_t p = 0; p < 32; ++p) {
      std::vector<float> x(32 * 64);
      for (size_t i = 0; i < x.size(); ++i) x[i] = head.key(p * 64 + i % 64)[i / 64];
      const Encoded page(format(), Plane::kKeys, 32, x);
      for (size_t i = 0; i < x.size(); ++i) {
        const size_t c = i / 64, t = p * 64 + i % 64;
        expect_code(page, c, i % 64, x[i], want, (h * 2048 + t) * 32 + c,
                    (h * 64 + t / 32) * 32 + c, moved);
      }
    }
  }
  EXPECT_LT(moved, 4u * 2048 * 32 / 50);
}

TEST_P(KiviCodes, ValuesAreTheRepositorys) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Kivi want(name('v'), false);
  size_t moved = 0;
  for (size_t h = 0; h < 4; ++h) {
    const HeadView head = recorded_layer().head(h, 2048);
    for (size_t p = 0; p < 32; ++p) {
      const std::vector<float> x(head.value(p * 64), head.value(p * 64) + 64 * 32);
      const Encoded page(format(), Plane::kValues, 32, x);
      for (size_t i = 0; i < x.size(); ++i) {
        const size_t t = p * 64 + i / 32;
        expect_code(page, i / 32, i % 32, x[i], want, (h * 2048 + t) * 32 + i % 32, h * 2048 + t,
                    moved);
      }
    }
  }
  EXPECT_LT(moved, 4u * 2048 * 32 / 50);
}

// The recorded numbers and outputs are what its codes say, and our outputs are as far from them as
// our keys and values: |out - out'| <= (e^2ds - 1) max|v| + max|dv|.
TEST_P(KiviCodes, OutputsAreTheRepositorys) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Kivi k(name('k'), true), v(name('v'), false);
  for (const bool keys : {true, false}) {
    const auto want = expected_floats(name(keys ? 'k' : 'v') + ".dequant_first128");
    for (size_t i = 0; i < want.size(); ++i) {
      const size_t at = (i / (128 * 32) * 2048 * 32) + i % (128 * 32);
      ASSERT_NEAR((keys ? k : v).numbers[at], want[i], 1e-5);
    }
  }
  const std::string bits = std::to_string(GetParam());
  ThreadPool pool(2);
  const Policy policy =
      make_policy(parse_policy("store=k" + bits + "v" + bits + "(tail=0)"), KvFormat::kF32);
  Replay replay(recorded_layer(), policy, pool);
  run_replay(replay);
  const auto recorded = expected_floats("kivi." + bits + "bit.decode_out");
  for (size_t s = 0; s < 8; ++s) {
    for (size_t h = 0; h < 8; ++h) {
      HeadView theirs = recorded_layer().head(h / 2, 2049 + s);
      std::vector<float> tk(theirs.k, theirs.k + theirs.tokens * 32),
          tv(theirs.v, theirs.v + theirs.tokens * 32);
      std::copy_n(&k.numbers[h / 2 * 2048 * 32], 2048 * 32, tk.begin());
      std::copy_n(&v.numbers[h / 2 * 2048 * 32], 2048 * 32, tv.begin());
      theirs.k = tk.data();
      theirs.v = tv.data();
      const HeadView ours = replay.head(h / 2, 2049 + s);
      std::vector<int32_t> all(theirs.tokens);
      std::iota(all.begin(), all.end(), 0);
      const float* q = recorded_layer().queries(h / 2, 2048 + s, 1).row(0, h % 2, 32);
      float out[32];
      attend_keys(theirs, q, all, out);
      double ds = 0, dv = 0, v_max = 0;
      for (size_t t = 0; t < theirs.tokens; ++t) {
        double score = 0;
        for (size_t c = 0; c < 32; ++c) {
          score += double{q[c]} * (double{ours.key(t)[c]} - tk[t * 32 + c]);
          dv = std::max(dv, std::fabs(double{ours.value(t)[c]} - tv[t * 32 + c]));
          v_max = std::max(v_max, std::fabs(double{tv[t * 32 + c]}));
        }
        ds = std::max(ds, std::fabs(score) * double{theirs.scale});
      }
      const float* got = &replay.out[((2048 + s) * 8 + h) * 32];
      for (size_t c = 0; c < 32; ++c) {
        ASSERT_NEAR(out[c], recorded[(s * 8 + h) * 32 + c], 1e-4);
        ASSERT_NEAR(got[c], out[c], std::expm1(2 * ds) * v_max + dv + 1e-5);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Bits, KiviCodes, testing::Values(2, 4));

// --- RotateKV -------------------------------------------------------------------------------

// The keys before rotation, 4 heads as one row of 128 channels, times the Hadamard matrix.
std::vector<float> rotated_keys() {
  std::vector<float> rows(2048 * 128);
  const auto frame = hadamard_frame();
  for (size_t t = 0; t < 2048; ++t) {
    for (size_t h = 0; h < 4; ++h) {
      const float* k = recorded_layer().head(h, 2048).k_unrotated + t * 32;
      std::copy_n(k, 32, &rows[t * 128 + h * 32]);
    }
    frame->enter({}, &rows[t * 128], 128);
  }
  return rows;
}

// Channels by the sum of their rotated keys.
std::shared_ptr<const Frame> calibrated_order(const std::vector<float>& rotated) {
  std::vector<double> sums(128);
  for (size_t i = 0; i < rotated.size(); ++i) sums[i % 128] += rotated[i];
  return sorted_frame({1, 128, {sums.begin(), sums.end()}});
}

TEST(RotateKv, RotationAndOrderAreTheRepositorys) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto rotated = rotated_keys(), want = expected_floats("rotatekv.k_rotated_first128");
  for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(rotated[i], want[i], 1e-5);
  std::vector<float> order(128);
  std::iota(order.begin(), order.end(), 0.0f);
  calibrated_order(rotated)->enter({}, order.data(), 128);
  const auto expected = expected_integers("rotatekv.order");
  EXPECT_EQ(std::vector<int64_t>(order.begin(), order.end()), expected);
}

// Groups of `width` numbers of a row of codes as the repository has them.
struct Rotated {
  size_t width;
  std::vector<int64_t> codes, zero;
  std::vector<float> scale;
  Rotated(const std::string& name, size_t group)
      : width(group),
        codes(expected_integers(name + ".codes_first256")),
        zero(expected_integers(name + ".zero_first256")),
        scale(expected_floats(name + ".scale_first256")) {}
  double value(size_t at) const {
    return scale[at / width] * static_cast<double>(codes[at] - zero[at / width]);
  }
};

// A page of 64 tokens of groups, encoded, against tokens [first, first + 64) of theirs. Adds the
// squared differences of a token's numbers to `apart`.
void expect_groups(const Encoded& page, const std::vector<float>& x, const Rotated& want,
                   const std::function<size_t(size_t token)>& at, std::vector<double>& apart,
                   size_t& moved) {
  for (size_t t = 0; t < 64; ++t) {
    const size_t first = at(t), g = first / want.width;
    const double s = want.scale[g];
    ASSERT_NEAR(page.number(0, t, 0), s, s * (kUlp + 1e-5));
    const double zero = -page.number(1, t, 0) / page.number(0, t, 0);
    const bool same_zero = std::lround(zero) == want.zero[g];
    EXPECT_LE(std::fabs(zero - double(want.zero[g])), same_zero ? 0.01 : 1.01);
    for (size_t c = 0; c < want.width; ++c) {
      const int off = page.code(t, c) - static_cast<int>(want.codes[first + c]);
      const double ratio = x[t * want.width + c] / s;
      moved += off != 0;
      EXPECT_LE(std::abs(off), same_zero ? 1 : 2);
      if (off != 0 && same_zero) {
        EXPECT_TRUE(near_half(ratio, std::fabs(ratio) * kUlp * 1.01 + 1e-4)) << ratio;
      }
      apart[t] += std::pow(page.value(t, c) - want.value(first + c), 2);
    }
  }
}

struct RotateCase {
  int bits;
  size_t group;
};
class RotateKvCodes : public testing::TestWithParam<RotateCase> {};

TEST_P(RotateKvCodes, KeysAreTheRepositorys) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto [bits, group] = GetParam();
  const std::string name = "rotatekv.k" + std::to_string(bits) + ".g" + std::to_string(group);
  const Rotated want(name, group);
  std::vector<float> rows = rotated_keys();
  const auto order = calibrated_order(rows);
  for (size_t t = 0; t < 2048; ++t) order->enter({}, &rows[t * 128], 128);
  std::vector<double> apart(256);
  std::vector<float> decoded(256 * 128);
  size_t moved = 0;
  for (size_t p = 0; p < 4; ++p) {
    for (size_t first = 0; first < 128; first += group) {
      std::vector<float> x(64 * group);
      for (size_t i = 0; i < x.size(); ++i) {
        x[i] = rows[(p * 64 + i / group) * 128 + first + i % group];
      }
      const Encoded page(bits == 2 ? KvFormat::kT2 : KvFormat::kT4, Plane::kValues, group, x,
                         bits == 2 ? 0.8f : 1.0f);
      std::vector<double> off(64);
      expect_groups(
          page, x, want, [&](size_t t) { return (p * 64 + t) * 128 + first; }, off, moved);
      for (size_t t = 0; t < 64; ++t) apart[p * 64 + t] += off[t];
      for (size_t i = 0; i < x.size(); ++i) {
        decoded[(p * 64 + i / group) * 128 + first + i % group] = page.value(i / group, i % group);
      }
    }
  }
  EXPECT_LT(moved, 256u * 128 / 50);
  // Back through order, Hadamard and rotary embedding; none of them changes lengths.
  if (group != 128) return;
  const auto keys = expected_floats(name + ".keys_first128");
  std::vector<double> frequencies;
  for (size_t i = 0; i < 16; ++i) {
    frequencies.push_back(std::pow(*recorded_layer().rope_base(), -2.0 * double(i) / 32));
  }
  const RopeView rope{frequencies, 1.0, recorded_layer().rope_style()};
  for (size_t t = 0; t < 128; ++t) {
    float* row = &decoded[t * 128];
    order->leave({}, row, 128);
    hadamard_frame()->leave({}, row, 128);
    double off = 0;
    for (size_t h = 0; h < 4; ++h) {
      Rotation(rope, double(t)).apply(row + h * 32, 32, row + h * 32);
      for (size_t c = 0; c < 32; ++c) {
        off += std::pow(double{row[h * 32 + c]} - keys[t * 128 + h * 32 + c], 2);
      }
    }
    EXPECT_NEAR(std::sqrt(off), std::sqrt(apart[t]), 1e-3) << t;
  }
}

INSTANTIATE_TEST_SUITE_P(Bits, RotateKvCodes,
                         testing::Values(RotateCase{2, 128}, RotateCase{2, 32}, RotateCase{4, 128},
                                         RotateCase{4, 32}),
                         [](const auto& each) {
                           return fmt::format("k{}_g{}", each.param.bits, each.param.group);
                         });

// The stores' values: rotated by head, one group a head.
TEST(RotateKv, ValuesAreTheRepositorys) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  for (const int bits : {2, 4}) {
    const std::string name = "rotatekv.v" + std::to_string(bits);
    const auto codes = expected_integers(name + ".codes_first256");
    const auto values = expected_floats(name + ".values_first128");
    ThreadPool pool(2);
    const Policy policy =
        make_policy(parse_policy(fmt::format("store=rotate{}(tail=0)", bits)), KvFormat::kF32);
    Replay replay(recorded_layer(), policy, pool);
    replay_store(replay);
    size_t moved = 0;
    for (size_t h = 0; h < 4; ++h) {
      for (size_t p = 0; p < 4; ++p) {
        std::vector<float> x(64 * 32);
        const HeadView head = recorded_layer().head(h, 2048);
        for (size_t t = 0; t < 64; ++t) {
          std::copy_n(head.value(p * 64 + t), 32, &x[t * 32]);
          hadamard_frame()->enter({}, &x[t * 32], 32);
        }
        const Encoded page(bits == 2 ? KvFormat::kT2 : KvFormat::kT4, Plane::kValues, 32, x,
                           bits == 2 ? 0.8f : 1.0f);
        for (size_t i = 0; i < x.size(); ++i) {
          const size_t t = p * 64 + i / 32;
          const int off =
              page.code(i / 32, i % 32) - static_cast<int>(codes[(t * 4 + h) * 32 + i % 32]);
          EXPECT_LE(std::abs(off), 2);
          moved += off != 0;
        }
        // A number moves by a step where its code does, by 2^-10 of itself otherwise.
        for (size_t t = 0; p < 2 && t < 64; ++t) {
          double off = 0, length = 0, bound = 0;
          for (size_t c = 0; c < 32; ++c) {
            const double want = values[((p * 64 + t) * 4 + h) * 32 + c];
            off += std::pow(replay.head(h, 2048).value(p * 64 + t)[c] - want, 2);
            length += want * want;
            bound += std::pow(double(page.code(t, c) - codes[((p * 64 + t) * 4 + h) * 32 + c]) *
                                  page.number(0, t, 0),
                              2);
          }
          EXPECT_LE(std::sqrt(off), std::sqrt(bound) + 0x1p-9 * std::sqrt(length) + 1e-4);
        }
      }
    }
    EXPECT_LT(moved, 256u * 128 / 50) << bits;
  }
}

}  // namespace
}  // namespace fathom::kv
