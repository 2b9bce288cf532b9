// Encoders of Q2_K to Q6_K: scales are found for every sub-block, then rounded to a few bits
// relative to the block's largest, and only then are the codes chosen, for the scales as stored.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "kernel/block_encoders.h"
#include "kernel/block_formats.h"
#include "kernel/scale_search.h"

namespace fathom::kernel {
namespace {

using Codes = std::array<uint8_t, 256>;

// Scales and minima of a block's sub-blocks, rounded to integers of the block's d and dmin.
struct AffineBlock {
  std::array<uint8_t, 16> scale{}, minimum{};
  float d = 0, dmin = 0;  // as stored
};

// Nearest multiples of the largest value / top; returns that step.
template <size_t N>
float rounded_to(const std::array<float, N>& values, int top, std::array<uint8_t, 16>& out) {
  const float largest = *std::max_element(values.begin(), values.end());
  if (!(largest > 0.0f)) return 0.0f;
  const float inverse = static_cast<float>(top) / largest;
  for (size_t i = 0; i < N; ++i) {
    out[i] = static_cast<uint8_t>(nearest_code(inverse * values[i], 0, top));
  }
  return largest / static_cast<float>(top);
}

template <size_t N>
AffineBlock round_fits(const std::array<AffineFit, N>& fits, int top) {
  std::array<float, N> scales, minima;
  for (size_t i = 0; i < N; ++i) {
    scales[i] = fits[i].scale;
    minima[i] = fits[i].minimum;
  }
  AffineBlock block;
  block.d = rounded_to(scales, top, block.scale);
  block.dmin = rounded_to(minima, top, block.minimum);
  return block;
}

// Codes of one sub-block; 0 where its scale is 0.
void affine_codes(std::span<const float> x, AffineFit fit, int top, uint8_t* codes) {
  for (size_t i = 0; i < x.size(); ++i) {
    codes[i] = fit.scale != 0.0f
                   ? static_cast<uint8_t>(nearest_code((x[i] + fit.minimum) / fit.scale, 0, top))
                   : 0;
  }
}

void put_scales_q4_k(const AffineBlock& a, uint8_t* sc) {
  for (int b = 0; b < 4; ++b) {
    sc[b] = static_cast<uint8_t>(a.scale[b] | (a.scale[b + 4] >> 4) << 6);
    sc[b + 4] = static_cast<uint8_t>(a.minimum[b] | (a.minimum[b + 4] >> 4) << 6);
    sc[b + 8] = static_cast<uint8_t>((a.scale[b + 4] & 15) | (a.minimum[b + 4] & 15) << 4);
  }
}

// What Q4_K and Q5_K share: everything but where the fifth bit goes. Writes the first 16 bytes.
Codes encode_scales_of_32(const float* x, const AffineSearch& search, uint8_t* block) {
  std::array<AffineFit, 8> fits;
  for (int b = 0; b < 8; ++b) {
    const std::span<const float> part{x + 32 * b, 32};
    float squares = 0;
    for (const float v : part) squares += v * v;
    const float mean = std::sqrt(squares / 32.0f);
    std::array<float, 32> weights;
    for (int i = 0; i < 32; ++i) weights[i] = mean + std::fabs(part[i]);
    fits[b] = fit_affine(part, weights, search);
  }
  const AffineBlock a = round_fits(fits, 63);
  const float d = put_half(a.d, block), dmin = put_half(a.dmin, block + 2);
  put_scales_q4_k(a, block + 4);
  Codes codes;
  for (int b = 0; b < 8; ++b) {
    const AffineFit stored{d * static_cast<float>(a.scale[b]),
                           dmin * static_cast<float>(a.minimum[b])};
    affine_codes({x + 32 * b, 32}, stored, search.top, codes.data() + 32 * b);
  }
  return codes;
}

// Low four bits of 256 codes: sub-blocks 2c and 2c + 1 share 32 bytes.
void put_low_bits(const Codes& codes, uint8_t* qs) {
  for (int c = 0; c < 4; ++c) {
    for (int l = 0; l < 32; ++l) {
      const uint8_t low = codes[64 * c + l] & 15, high = codes[64 * c + 32 + l] & 15;
      qs[32 * c + l] = static_cast<uint8_t>(low | high << 4);
    }
  }
}

// Codes of 16 sub-blocks of 16 around zero, given the scales as stored: 0 stands for -zero.
Codes symmetric_codes(const float* x, const std::array<float, 16>& scales, int zero) {
  Codes codes;
  for (int i = 0; i < 256; ++i) {
    const float scale = scales[i / 16];
    const int q = scale != 0.0f ? nearest_code(x[i] / scale, -zero, zero - 1) : 0;
    codes[i] = static_cast<uint8_t>(q + zero);
  }
  return codes;
}

std::array<float, 16> fit_sixteenths(const float* x, int top) {
  std::array<float, 16> scales;
  for (int s = 0; s < 16; ++s) scales[s] = fit_symmetric({x + 16 * s, 16}, top);
  return scales;
}

}  // namespace

void encode_q4_k(const float* x, uint8_t* block) {
  const Codes codes = encode_scales_of_32(x, {.top = 15, .first = -1.0f, .tries = 21}, block);
  put_low_bits(codes, block + 16);
}

void encode_q5_k(const float* x, uint8_t* block) {
  const Codes codes = encode_scales_of_32(x, {.top = 31, .first = -0.5f, .tries = 16}, block);
  for (int l = 0; l < 32; ++l) {
    uint8_t high = 0;
    for (int b = 0; b < 8; ++b) high |= static_cast<uint8_t>((codes[32 * b + l] >> 4) << b);
    block[16 + l] = high;
  }
  put_low_bits(codes, block + 48);
}

void encode_q2_k(const float* x, uint8_t* block) {
  const AffineSearch search{.top = 3, .first = -0.5f, .tries = 16};
  std::array<AffineFit, 16> fits;
  for (int s = 0; s < 16; ++s) {
    std::array<float, 16> weights;
    for (int i = 0; i < 16; ++i) weights[i] = std::fabs(x[16 * s + i]);
    fits[s] = fit_affine({x + 16 * s, 16}, weights, search);
  }
  const AffineBlock a = round_fits(fits, 15);
  const float d = put_half(a.d, block + 80), dmin = put_half(a.dmin, block + 82);
  Codes codes;
  for (int s = 0; s < 16; ++s) {
    block[s] = static_cast<uint8_t>(a.scale[s] | a.minimum[s] << 4);
    const AffineFit stored{d * static_cast<float>(a.scale[s]),
                           dmin * static_cast<float>(a.minimum[s])};
    affine_codes({x + 16 * s, 16}, stored, search.top, codes.data() + 16 * s);
  }
  put_two_bits(codes.data(), block + 16);
}

void encode_q3_k(const float* x, uint8_t* block) {
  const std::array<float, 16> fitted = fit_sixteenths(x, 4);
  const float step = signed_peak(fitted) / -32.0f;
  const float inverse = inverse_or_zero(step);
  const float d = put_half(step, block + 108);
  uint8_t* sc = block + 96;
  std::memset(sc, 0, 12);
  std::array<float, 16> stored;
  for (int s = 0; s < 16; ++s) {
    const int scale = nearest_code(fitted[s] * inverse, -32, 31);
    const int bits = scale + 32;
    sc[s % 8] |= static_cast<uint8_t>((bits & 15) << (4 * (s / 8)));
    sc[8 + s % 4] |= static_cast<uint8_t>((bits >> 4) << (2 * (s / 4)));
    stored[s] = d * static_cast<float>(scale);
  }
  Codes codes = symmetric_codes(x, stored, 4);
  std::memset(block, 0, 32);
  for (int i = 0; i < 256; ++i) {
    block[i % 32] |= static_cast<uint8_t>((codes[i] >> 2) << (i / 32));
    codes[i] &= 3;
  }
  put_two_bits(codes.data(), block + 32);
}

void encode_q6_k(const float* x, uint8_t* block) {
  const std::array<float, 16> fitted = fit_sixteenths(x, 32);
  const float step = signed_peak(fitted) / -128.0f;
  const float inverse = inverse_or_zero(step);
  const float d = put_half(step, block + 208);
  std::array<float, 16> stored;
  for (int s = 0; s < 16; ++s) {
    const int scale = nearest_code(fitted[s] * inverse, -128, 127);
    block[192 + s] = static_cast<uint8_t>(static_cast<int8_t>(scale));
    stored[s] = d * static_cast<float>(scale);
  }
  const Codes codes = symmetric_codes(x, stored, 32);
  for (int half = 0; half < 2; ++half) {
    for (int l = 0; l < 32; ++l) {
      const uint8_t* c = codes.data() + 128 * half + l;
      uint8_t* low = block + 64 * half + l;
      low[0] = static_cast<uint8_t>((c[0] & 15) | (c[64] & 15) << 4);
      low[32] = static_cast<uint8_t>((c[32] & 15) | (c[96] & 15) << 4);
      block[128 + 32 * half + l] = static_cast<uint8_t>(c[0] >> 4 | (c[32] >> 4) << 2 |
                                                        (c[64] >> 4) << 4 | (c[96] >> 4) << 6);
    }
  }
}

}  // namespace fathom::kernel
