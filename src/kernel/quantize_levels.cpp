// Encoders of the formats whose codes are not evenly spaced or only three: IQ4_NL, IQ4_XS, TQ1_0
// and TQ2_0.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "kernel/block_encoders.h"
#include "kernel/block_formats.h"
#include "kernel/scale_search.h"

namespace fathom::kernel {
namespace {

// The code whose level is nearest, by floor(2 v) for v from -128 to 127.5: borders between levels
// are multiples of a half, so the floor decides.
constexpr std::array<uint8_t, 512> make_nearest_levels() {
  std::array<uint8_t, 512> out{};
  int code = 0;
  for (int twice = -256; twice < 256; ++twice) {
    while (code < 15 && twice >= kIq4Values[code] + kIq4Values[code + 1]) ++code;
    out[static_cast<size_t>(twice + 256)] = static_cast<uint8_t>(code);
  }
  return out;
}
constexpr std::array<uint8_t, 512> kNearestLevels = make_nearest_levels();

uint8_t nearest_level(float v) {
  v = v < 127.5f ? v : 127.5f;
  v = v > -128.0f ? v : -128.0f;
  return kNearestLevels[static_cast<size_t>((v + 128.0f) * 2.0f)];
}

void level_codes(const float* x, float scale, uint8_t* codes) {
  const float inverse = inverse_or_zero(scale);
  for (int i = 0; i < 32; ++i) codes[i] = nearest_level(x[i] * inverse);
}

// The scale for which the sixteen levels explain most of 32 values, weighted by their squares. The
// peak is tried at -127 and up to seven steps to either side of it.
float fit_levels(const float* x) {
  const float peak = signed_peak({x, 32});
  if (std::fabs(peak) < 1e-15f) return 0.0f;
  float best = 0, scale = 0;
  for (int t = -7; t <= 7; ++t) {
    const float inverse = static_cast<float>(t + kIq4Values[0]) / peak;
    float dot = 0, norm = 0;
    for (int i = 0; i < 32; ++i) {
      const float q = kIq4Values[nearest_level(x[i] * inverse)];
      const float wq = x[i] * x[i] * q;
      dot += wq * x[i];
      norm += wq * q;
    }
    if (norm > 0.0f && dot * dot > best * norm) {
      scale = dot / norm;
      best = scale * dot;
    }
  }
  return scale;
}

// -1, 0 or 1 times the largest magnitude, stored as 0, 1 or 2. Halves round away from zero.
float ternary_codes(const float* x, uint8_t* codes) {
  const float d = std::fabs(signed_peak({x, 256}));
  for (int i = 0; i < 256; ++i) {
    const bool far = std::fabs(x[i]) * 2.0f >= d && x[i] != 0.0f;
    codes[i] = static_cast<uint8_t>(far ? (x[i] > 0.0f ? 2 : 0) : 1);
  }
  return d;
}

// Up to five codes, `stride` apart, in one byte; a missing fifth is 0.
uint8_t packed_trits(const uint8_t* codes, int stride, int count) {
  int number = 0;
  for (int n = 0; n < 5; ++n) number = number * 3 + (n < count ? codes[n * stride] : 0);
  return static_cast<uint8_t>((number * 256 + 242) / 243);
}

}  // namespace

void encode_iq4_nl(const float* x, uint8_t* block) {
  const float scale = put_half(fit_levels(x), block);
  uint8_t codes[32];
  level_codes(x, scale, codes);
  put_nibbles(codes, block + 2);
}

void encode_iq4_xs(const float* x, uint8_t* block) {
  std::array<float, 8> fitted;
  for (int b = 0; b < 8; ++b) fitted[b] = fit_levels(x + 32 * b);
  const float step = signed_peak(fitted) / -32.0f;
  const float inverse = inverse_or_zero(step);
  const float d = put_half(step, block);
  uint16_t high = 0;
  std::memset(block + 4, 0, 4);
  for (int b = 0; b < 8; ++b) {
    const int scale = nearest_code(fitted[b] * inverse, -32, 31);
    const int bits = scale + 32;
    block[4 + b / 2] |= static_cast<uint8_t>((bits & 15) << (4 * (b % 2)));
    high |= static_cast<uint16_t>((bits >> 4) << (2 * b));
    uint8_t codes[32];
    level_codes(x + 32 * b, d * static_cast<float>(scale), codes);
    put_nibbles(codes, block + 8 + 16 * b);
  }
  std::memcpy(block + 2, &high, sizeof(high));
}

void encode_tq1_0(const float* x, uint8_t* block) {
  uint8_t codes[256];
  put_half(ternary_codes(x, codes), block + 52);
  for (int m = 0; m < 32; ++m) block[m] = packed_trits(codes + m, 32, 5);
  for (int m = 0; m < 16; ++m) block[32 + m] = packed_trits(codes + 160 + m, 16, 5);
  for (int m = 0; m < 4; ++m) block[48 + m] = packed_trits(codes + 240 + m, 4, 4);
}

void encode_tq2_0(const float* x, uint8_t* block) {
  uint8_t codes[256];
  put_half(ternary_codes(x, codes), block + 64);
  put_two_bits(codes, block);
}

}  // namespace fathom::kernel
