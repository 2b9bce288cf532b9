#include "kernel/block_formats.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>

#include "base/half.h"
#include "support/shared_data.h"

namespace fathom::kernel {
namespace {

using Bytes = std::vector<uint8_t>;

std::vector<float> dequantized(TensorType type, const Bytes& bytes, size_t values) {
  std::vector<float> out(values, std::numeric_limits<float>::quiet_NaN());
  dequantize_row(type, reinterpret_cast<const std::byte*>(bytes.data()), out);
  return out;
}

Bytes quantized(TensorType type, const std::vector<float>& row) {
  // A guard byte behind the row shows an encoder that writes too far.
  const size_t size = info(type).row_bytes(row.size());
  Bytes out(size + 1, 0xa5);
  quantize_row(type, row, reinterpret_cast<std::byte*>(out.data()));
  EXPECT_EQ(out[size], 0xa5) << info(type).name;
  out.resize(size);
  return out;
}

std::vector<float> round_trip(TensorType type, const std::vector<float>& row) {
  return dequantized(type, quantized(type, row), row.size());
}

void put_half(Bytes& bytes, size_t at, float value) {
  const Half h = to_half(value);
  std::memcpy(bytes.data() + at, &h.bits, 2);
}

Bytes blank(TensorType type) { return Bytes(info(type).block_bytes, 0); }

std::vector<float> decoded(TensorType type, const Bytes& block) {
  return dequantized(type, block, info(type).block_values);
}

std::vector<float> gaussian(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

double relative_rms(const std::vector<float>& got, const std::vector<float>& want) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    error += std::pow(double{got[i]} - want[i], 2);
    norm += std::pow(double{want[i]}, 2);
  }
  return std::sqrt(error / norm);
}

// Another engine's blocks and what it made of them.
TEST(BlockFormats, DecodesTheReferenceBlocksBitForBit) {
  int types = 0;
  for (const TensorTypeInfo& t : all_tensor_types()) {
    const std::string stem = test::reference("quant/") + std::string(t.name) + ".down";
    if (!std::filesystem::exists(stem + ".blocks")) continue;
    ++types;
    const std::string blocks = test::read_file(stem + ".blocks");
    const std::vector<float> want = test::read_floats(stem + ".f32");
    ASSERT_EQ(want.size(), 8u * 512) << t.name;
    const std::vector<float> got =
        dequantized(t.type, Bytes(blocks.begin(), blocks.end()), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(want[i]))
          << t.name << " value " << i << ": " << got[i] << " instead of " << want[i];
    }
  }
  EXPECT_EQ(types, 16);
}

TEST(BlockFormats, FloatsByHand) {
  EXPECT_EQ(decoded(TensorType::kF32, {0, 0, 0x20, 0xc1}), (std::vector<float>{-10.0f}));
  EXPECT_EQ(decoded(TensorType::kF16, {0x00, 0xc9}), (std::vector<float>{-10.0f}));
  EXPECT_EQ(decoded(TensorType::kBF16, {0x20, 0xc1}), (std::vector<float>{-10.0f}));
}

TEST(BlockFormats, BlocksOf32ByHand) {
  Bytes b = blank(TensorType::kQ4_0);
  put_half(b, 0, 0.5f);
  b[2 + 3] = 0xf2;  // value 3: 2 - 8; value 19: 15 - 8
  std::vector<float> x = decoded(TensorType::kQ4_0, b);
  EXPECT_EQ(x[3], -3.0f);
  EXPECT_EQ(x[19], 3.5f);
  EXPECT_EQ(x[0], -4.0f);

  b = blank(TensorType::kQ4_1);
  put_half(b, 0, 0.5f);
  put_half(b, 2, -1.0f);
  b[4 + 15] = 0x3e;
  x = decoded(TensorType::kQ4_1, b);
  EXPECT_EQ(x[15], 6.0f);
  EXPECT_EQ(x[31], 0.5f);
  EXPECT_EQ(x[0], -1.0f);

  b = blank(TensorType::kQ5_0);
  put_half(b, 0, 2.0f);
  b[2] = 0x02;       // bit 1
  b[5] = 0x80;       // bit 31
  b[6 + 1] = 0x07;   // value 1: 7 + 16 - 16
  b[6 + 15] = 0x50;  // value 31: 5 + 16 - 16
  x = decoded(TensorType::kQ5_0, b);
  EXPECT_EQ(x[1], 14.0f);
  EXPECT_EQ(x[31], 10.0f);
  EXPECT_EQ(x[15], -32.0f);

  b = blank(TensorType::kQ5_1);
  put_half(b, 0, 2.0f);
  put_half(b, 2, 1.0f);
  b[6] = 0x01;  // bit 16
  b[8] = 0x31;
  x = decoded(TensorType::kQ5_1, b);
  EXPECT_EQ(x[0], 3.0f);
  EXPECT_EQ(x[16], 39.0f);

  b = blank(TensorType::kQ8_0);
  put_half(b, 0, 0.25f);
  b[2] = 0x80;
  b[33] = 127;
  x = decoded(TensorType::kQ8_0, b);
  EXPECT_EQ(x[0], -32.0f);
  EXPECT_EQ(x[31], 31.75f);

  b = blank(TensorType::kIQ4_NL);
  put_half(b, 0, 0.5f);
  b[2] = 0xf8;
  x = decoded(TensorType::kIQ4_NL, b);
  EXPECT_EQ(x[0], 0.5f);
  EXPECT_EQ(x[16], 56.5f);
  EXPECT_EQ(x[1], -63.5f);
}

TEST(BlockFormats, Mxfp4ByHand) {
  Bytes b = blank(TensorType::kMXFP4);
  b[0] = 128;   // 2^0
  b[1] = 0xf7;  // 12 and -12
  b[2] = 0x91;  // 1 and -1
  std::vector<float> x = decoded(TensorType::kMXFP4, b);
  EXPECT_EQ(x[0], 12.0f);
  EXPECT_EQ(x[16], -12.0f);
  EXPECT_EQ(x[1], 1.0f);
  EXPECT_EQ(x[17], -1.0f);
  EXPECT_EQ(x[2], 0.0f);

  const Bytes levels = {127, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe,
                        0,   0,    0,    0,    0,    0,    0,    0};
  x = decoded(TensorType::kMXFP4, levels);  // 2^-1
  EXPECT_EQ(std::vector<float>(x.begin(), x.begin() + 8),
            (std::vector<float>{0, 1, 2, 4, 0, -1, -2, -4}));
  EXPECT_EQ(std::vector<float>(x.begin() + 16, x.begin() + 24),
            (std::vector<float>{0.5f, 1.5f, 3, 6, -0.5f, -1.5f, -3, -6}));
  // The denormal scales, and both ends.
  EXPECT_EQ(mxfp4_scale(0), std::ldexp(1.0f, -128));
  EXPECT_EQ(mxfp4_scale(1), std::ldexp(1.0f, -127));
  EXPECT_EQ(mxfp4_scale(2), std::ldexp(1.0f, -126));
  EXPECT_EQ(mxfp4_scale(255), std::ldexp(1.0f, 127));
}

TEST(BlockFormats, AffineKBlocksByHand) {
  Bytes b = blank(TensorType::kQ2_K);
  put_half(b, 80, 0.5f);
  put_half(b, 82, 0.25f);
  b[9] = 0x73;             // values 144 to 159: scale 3, minimum 7
  b[16 + 32 + 17] = 0x02;  // half 1, quarter 0, lane 17: value 145, code 2
  std::vector<float> x = decoded(TensorType::kQ2_K, b);
  EXPECT_EQ(x[145], 0.5f * 3 * 2 - 0.25f * 7);
  EXPECT_EQ(x[144], -0.25f * 7);
  EXPECT_EQ(x[143], 0.0f);

  b = blank(TensorType::kQ4_K);
  put_half(b, 0, 2.0f);
  put_half(b, 2, 1.0f);
  b[4 + 1] = 0x80 | 5;     // S of 1 is 5, the top bits of S of 5 are 2
  b[4 + 5] = 0x40 | 9;     // M of 1 is 9, the top bits of M of 5 are 1
  b[4 + 9] = 0x36;         // S of 5 is 6 + 32, M of 5 is 3 + 16
  b[16 + 0 + 7] = 0x40;    // sub-block 1, lane 7: code 4
  b[16 + 64 + 31] = 0xf0;  // sub-block 5, lane 31: code 15
  x = decoded(TensorType::kQ4_K, b);
  EXPECT_EQ(x[32 + 7], 2.0f * 5 * 4 - 9);
  EXPECT_EQ(x[32], -9.0f);
  EXPECT_EQ(x[160 + 31], 2.0f * 38 * 15 - 19);
  EXPECT_EQ(x[0], 0.0f);

  Bytes five = blank(TensorType::kQ5_K);
  std::copy(b.begin(), b.begin() + 16, five.begin());
  five[16 + 31] = 0x20;  // lane 31: bit 5, of sub-block 5
  five[48 + 64 + 31] = 0x30;
  x = decoded(TensorType::kQ5_K, five);
  EXPECT_EQ(x[160 + 31], 2.0f * 38 * 19 - 19);
  EXPECT_EQ(x[160 + 30], -19.0f);
}

TEST(BlockFormats, SymmetricKBlocksByHand) {
  Bytes b = blank(TensorType::kQ3_K);
  put_half(b, 108, 0.5f);
  b[96 + 1] = 0xc0;  // sub-block 9: low four 12
  b[96 + 9] = 0x20;  // ... top two bits 2: S is 44
  b[0 + 18] = 0x10;  // lane 18, bit 4: value 146 has the high bit
  b[32 + 32 + 18] = 0x03;
  std::vector<float> x = decoded(TensorType::kQ3_K, b);
  EXPECT_EQ(x[146], 0.5f * 12 * 3);
  EXPECT_EQ(x[147], 0.5f * 12 * -4);
  EXPECT_EQ(x[0], 0.5f * -32 * -4);

  b = blank(TensorType::kQ6_K);
  put_half(b, 208, 0.5f);
  b[192 + 15] = 0xfd;       // values 240 to 255: -3
  b[64 + 32 + 31] = 0x70;   // half 1, quarters 1 and 3, lane 31: value 255 has 7 in its low bits
  b[128 + 32 + 31] = 0x80;  // quarter 3: high bits 2
  x = decoded(TensorType::kQ6_K, b);
  EXPECT_EQ(x[255], 0.5f * -3 * (7 + 32 - 32));
  EXPECT_EQ(x[254], 0.5f * -3 * -32);

  b = blank(TensorType::kIQ4_XS);
  put_half(b, 0, 0.5f);
  b[3] = 0x08;       // scales_h bits 10 and 11: sub-block 5 has top bits 2
  b[4 + 2] = 0x10;   // low bits of sub-block 5: 1, so S is 33
  b[8 + 80] = 0xf0;  // its value 16
  x = decoded(TensorType::kIQ4_XS, b);
  EXPECT_EQ(x[160 + 16], 0.5f * 1 * 113);
  EXPECT_EQ(x[160], 0.5f * 1 * -127);
  EXPECT_EQ(x[0], 0.5f * -32 * -127);
}

TEST(BlockFormats, TernaryByHand) {
  Bytes b = blank(TensorType::kTQ2_0);
  put_half(b, 64, 3.0f);
  b[32 + 4] = 0x24;  // half 1, lane 4: quarters 0 to 3 are 0, 1, 2, 0
  std::vector<float> x = decoded(TensorType::kTQ2_0, b);
  EXPECT_EQ(x[128 + 4], -3.0f);
  EXPECT_EQ(x[160 + 4], 0.0f);
  EXPECT_EQ(x[192 + 4], 3.0f);

  b = blank(TensorType::kTQ1_0);
  put_half(b, 52, 3.0f);
  // 2, 0, 1, 2, 1 is 2*81 + 0*27 + 1*9 + 2*3 + 1 = 178; 178 * 256 / 243 = 187.5, rounded up.
  b[5] = 188;
  b[32 + 5] = 188;
  b[48 + 3] = 188;
  x = decoded(TensorType::kTQ1_0, b);
  const float want[] = {3, -3, 0, 3, 0};
  for (int n = 0; n < 5; ++n) {
    EXPECT_EQ(x[32 * n + 5], want[n]) << n;
    EXPECT_EQ(x[160 + 16 * n + 5], want[n]) << n;
    if (n < 4) {
      EXPECT_EQ(x[240 + 4 * n + 3], want[n]) << n;
    }
  }
}

struct Quality {
  TensorType type;
  double relative_rms;
};

// What the formats' own encoders reach on independent Gaussian values (for Q4_1 and Q5_1: what a
// range of 32 Gaussians over 15 and 31 steps gives).
TEST(BlockFormats, EncodersLoseWhatTheyShould) {
  const Quality kQualities[] = {
      {TensorType::kQ8_0, 0.0054},  {TensorType::kQ6_K, 0.0176},  {TensorType::kQ5_K, 0.036},
      {TensorType::kQ5_1, 0.038},   {TensorType::kQ5_0, 0.043},   {TensorType::kQ4_K, 0.071},
      {TensorType::kIQ4_NL, 0.076}, {TensorType::kIQ4_XS, 0.077}, {TensorType::kQ4_1, 0.078},
      {TensorType::kQ4_0, 0.086},   {TensorType::kMXFP4, 0.114},  {TensorType::kQ3_K, 0.15},
      {TensorType::kQ2_K, 0.30},
  };
  const std::vector<float> row = gaussian(256 * 1024, 7);
  for (const Quality& q : kQualities) {
    const double rms = relative_rms(round_trip(q.type, row), row);
    EXPECT_LE(rms, 1.05 * q.relative_rms) << info(q.type).name;
    EXPECT_GE(rms, 0.90 * q.relative_rms) << info(q.type).name << " is too good to be true";
  }
  for (const TensorType type : {TensorType::kF16, TensorType::kBF16}) {
    EXPECT_LT(relative_rms(round_trip(type, row), row), 0.002) << info(type).name;
  }
  EXPECT_EQ(round_trip(TensorType::kF32, row), row);
}

TEST(BlockFormats, BlocksAreEncodedAloneAndInOrder) {
  const std::vector<float> row = gaussian(512, 11);
  const std::vector<float> second(row.begin() + 256, row.end());
  for (const TensorTypeInfo& t : all_tensor_types()) {
    const Bytes whole = quantized(t.type, row);
    const Bytes tail = quantized(t.type, second);
    EXPECT_EQ(Bytes(whole.begin() + static_cast<long>(tail.size()), whole.end()), tail) << t.name;
  }
}

TEST(BlockFormats, ZeroStaysZero) {
  const std::vector<float> zeros(256, 0.0f);
  for (const TensorTypeInfo& t : all_tensor_types()) {
    EXPECT_EQ(round_trip(t.type, zeros), zeros) << t.name;
  }
}

// Values that tempt an encoder to divide by zero or to overflow a code.
TEST(BlockFormats, HardRowsGiveFiniteValues) {
  std::vector<std::vector<float>> rows;
  for (const float v : {1e-45f, -1e-45f, 1e-38f, -3e-7f, 60000.0f, -60000.0f, 1.0f}) {
    rows.emplace_back(256, v);                // constant
    rows.emplace_back(256, 0.0f).at(77) = v;  // one spike
    rows.emplace_back(256, v).at(200) = -v;   // an opposite spike
  }
  for (const TensorTypeInfo& t : all_tensor_types()) {
    for (const std::vector<float>& row : rows) {
      for (const float v : round_trip(t.type, row)) ASSERT_TRUE(std::isfinite(v)) << t.name;
    }
  }
}

TEST(BlockFormats, APeakSurvives) {
  // A value alone among zeros is representable but for the rounding of the scale to 11 bits (and,
  // in the K types, of the sub-block's share in it).
  for (const TensorTypeInfo& t : all_tensor_types()) {
    if (t.type == TensorType::kMXFP4) continue;  // levels 4 and 6 only near the top
    std::vector<float> row(256, 0.0f);
    row[100] = -0.37f;
    const std::vector<float> got = round_trip(t.type, row);
    EXPECT_NEAR(got[100], -0.37f, 0.37f * 0.005f) << t.name;
    EXPECT_EQ(got[255], 0.0f) << t.name;
  }
}

TEST(BlockFormats, TernaryValuesAreExact) {
  std::mt19937 random(3);
  std::vector<float> row(512);
  for (float& v : row) v = 0.25f * static_cast<float>(static_cast<int>(random() % 3) - 1);
  row[0] = row[511] = -0.25f;
  EXPECT_EQ(round_trip(TensorType::kTQ1_0, row), row);
  EXPECT_EQ(round_trip(TensorType::kTQ2_0, row), row);
}

TEST(BlockFormats, NearestLevelAlwaysWins) {
  // One value fixes the scale, the other runs over the whole range: the code must be the nearest.
  for (int step = -1270; step <= 1130; ++step) {
    std::vector<float> row(32, 0.0f);
    row[0] = -127.0f;
    row[1] = static_cast<float>(step) / 10.0f;
    const Bytes block = quantized(TensorType::kIQ4_NL, row);
    const std::vector<float> got = dequantized(TensorType::kIQ4_NL, block, 32);
    const float d = got[0] / -127.0f;
    for (const int level : kIq4Values) {
      ASSERT_LE(std::fabs(got[1] - row[1]),
                std::fabs(d * static_cast<float>(level) - row[1]) + 0.05f)
          << row[1];
    }
  }
}

TEST(BlockFormats, EveryTritByteDecodesItsDigits) {
  for (int number = 0; number < 243; ++number) {
    std::vector<float> row(256, 1.0f);
    for (int n = 0, rest = number; n < 5; ++n, rest /= 3) {
      row[static_cast<size_t>(32 * (4 - n))] = static_cast<float>(rest % 3 - 1);
    }
    ASSERT_EQ(round_trip(TensorType::kTQ1_0, row), row) << number;
  }
}

}  // namespace
}  // namespace fathom::kernel
