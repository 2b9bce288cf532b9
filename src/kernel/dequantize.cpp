#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "kernel/block_formats.h"

namespace fathom::kernel {
namespace {

template <class T>
T load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

float half_at(const uint8_t* bytes) { return to_float(Half{load<uint16_t>(bytes)}); }
float level(int code) { return static_cast<float>(code); }

// Code i of 32 four-bit codes.
int nibble(const uint8_t* qs, int i) { return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4; }
int fifth_bit(uint32_t high, int i) { return static_cast<int>((high >> i) & 1) << 4; }
// Code i of 256 two-bit codes.
int two_bits(const uint8_t* qs, int i) {
  return (qs[32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32))) & 3;
}

void dequantize_f32(const uint8_t* block, float* out) { *out = load<float>(block); }
void dequantize_f16(const uint8_t* block, float* out) { *out = half_at(block); }
void dequantize_bf16(const uint8_t* block, float* out) {
  *out = to_float(BFloat{load<uint16_t>(block)});
}

void dequantize_q4_0(const uint8_t* block, float* out) {
  const float d = half_at(block);
  for (int i = 0; i < 32; ++i) out[i] = d * level(nibble(block + 2, i) - 8);
}

void dequantize_q4_1(const uint8_t* block, float* out) {
  const float d = half_at(block), m = half_at(block + 2);
  for (int i = 0; i < 32; ++i) out[i] = d * level(nibble(block + 4, i)) + m;
}

void dequantize_q5_0(const uint8_t* block, float* out) {
  const float d = half_at(block);
  const uint32_t high = load<uint32_t>(block + 2);
  for (int i = 0; i < 32; ++i) {
    out[i] = d * level((nibble(block + 6, i) | fifth_bit(high, i)) - 16);
  }
}

void dequantize_q5_1(const uint8_t* block, float* out) {
  const float d = half_at(block), m = half_at(block + 2);
  const uint32_t high = load<uint32_t>(block + 4);
  for (int i = 0; i < 32; ++i) {
    out[i] = d * level(nibble(block + 8, i) | fifth_bit(high, i)) + m;
  }
}

void dequantize_q8_0(const uint8_t* block, float* out) {
  const float d = half_at(block);
  for (int i = 0; i < 32; ++i) out[i] = d * level(static_cast<int8_t>(block[2 + i]));
}

void dequantize_iq4_nl(const uint8_t* block, float* out) {
  const float d = half_at(block);
  for (int i = 0; i < 32; ++i) out[i] = d * level(kIq4Values[nibble(block + 2, i)]);
}

void dequantize_mxfp4(const uint8_t* block, float* out) {
  const float d = mxfp4_scale(block[0]);
  for (int i = 0; i < 32; ++i) out[i] = d * level(kMxfp4Values[nibble(block + 1, i)]);
}

void dequantize_q2_k(const uint8_t* block, float* out) {
  const float d = half_at(block + 80), dmin = half_at(block + 82);
  for (int i = 0; i < 256; ++i) {
    const uint8_t sc = block[i / 16];
    out[i] = d * level(sc & 15) * level(two_bits(block + 16, i)) - dmin * level(sc >> 4);
  }
}

void dequantize_q3_k(const uint8_t* block, float* out) {
  const std::array<uint8_t, 16> scale = unpack_scales_q3_k(block + 96);
  const float d = half_at(block + 108);
  for (int i = 0; i < 256; ++i) {
    const int high = (block[i % 32] >> (i / 32)) & 1;
    const int q = two_bits(block + 32, i) - 4 + 4 * high;
    out[i] = d * level(scale[i / 16] - 32) * level(q);
  }
}

void dequantize_q4_k(const uint8_t* block, float* out) {
  const float d = half_at(block), dmin = half_at(block + 2);
  const ScalesAndMinima s = unpack_scales_q4_k(block + 4);
  for (int i = 0; i < 256; ++i) {
    const int b = i / 32;
    const int q = (block[16 + 32 * (b / 2) + i % 32] >> (4 * (b % 2))) & 15;
    out[i] = d * level(s.scale[b]) * level(q) - dmin * level(s.minimum[b]);
  }
}

void dequantize_q5_k(const uint8_t* block, float* out) {
  const float d = half_at(block), dmin = half_at(block + 2);
  const ScalesAndMinima s = unpack_scales_q4_k(block + 4);
  for (int i = 0; i < 256; ++i) {
    const int b = i / 32;
    const int low = (block[48 + 32 * (b / 2) + i % 32] >> (4 * (b % 2))) & 15;
    const int q = low | ((block[16 + i % 32] >> b) & 1) << 4;
    out[i] = d * level(s.scale[b]) * level(q) - dmin * level(s.minimum[b]);
  }
}

void dequantize_q6_k(const uint8_t* block, float* out) {
  const float d = half_at(block + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, g = i % 128 / 32, l = i % 32;
    const int low = (block[64 * half + 32 * (g % 2) + l] >> (4 * (g / 2))) & 15;
    const int high = (block[128 + 32 * half + l] >> (2 * g)) & 3;
    const int scale = static_cast<int8_t>(block[192 + i / 16]);
    out[i] = d * level(scale) * level((low | high << 4) - 32);
  }
}

void dequantize_iq4_xs(const uint8_t* block, float* out) {
  const float d = half_at(block);
  const uint32_t high = load<uint16_t>(block + 2);
  for (int b = 0; b < 8; ++b) {
    const int low = (block[4 + b / 2] >> (4 * (b % 2))) & 15;
    const int scale = low | static_cast<int>((high >> (2 * b)) & 3) << 4;
    const float step = d * level(scale - 32);
    for (int l = 0; l < 32; ++l) {
      out[32 * b + l] = step * level(kIq4Values[nibble(block + 8 + 16 * b, l)]);
    }
  }
}

// Trit n of a byte: 3^n moves it to the front, 256ths above it are lost on purpose.
int trit(uint8_t byte, int n) {
  constexpr int kPowers[] = {1, 3, 9, 27, 81};
  return ((byte * kPowers[n]) % 256 * 3) / 256;
}

void dequantize_tq1_0(const uint8_t* block, float* out) {
  const float d = half_at(block + 52);
  for (int n = 0; n < 5; ++n) {
    for (int m = 0; m < 32; ++m) out[32 * n + m] = d * level(trit(block[m], n) - 1);
    for (int m = 0; m < 16; ++m) out[160 + 16 * n + m] = d * level(trit(block[32 + m], n) - 1);
  }
  for (int n = 0; n < 4; ++n) {
    for (int m = 0; m < 4; ++m) out[240 + 4 * n + m] = d * level(trit(block[48 + m], n) - 1);
  }
}

void dequantize_tq2_0(const uint8_t* block, float* out) {
  const float d = half_at(block + 64);
  for (int i = 0; i < 256; ++i) out[i] = d * level(two_bits(block, i) - 1);
}

using DequantizeBlock = void (*)(const uint8_t*, float*);

DequantizeBlock dequantizer(TensorType type) {
  switch (type) {
    case TensorType::kF32:
      return dequantize_f32;
    case TensorType::kF16:
      return dequantize_f16;
    case TensorType::kBF16:
      return dequantize_bf16;
    case TensorType::kQ4_0:
      return dequantize_q4_0;
    case TensorType::kQ4_1:
      return dequantize_q4_1;
    case TensorType::kQ5_0:
      return dequantize_q5_0;
    case TensorType::kQ5_1:
      return dequantize_q5_1;
    case TensorType::kQ8_0:
      return dequantize_q8_0;
    case TensorType::kQ2_K:
      return dequantize_q2_k;
    case TensorType::kQ3_K:
      return dequantize_q3_k;
    case TensorType::kQ4_K:
      return dequantize_q4_k;
    case TensorType::kQ5_K:
      return dequantize_q5_k;
    case TensorType::kQ6_K:
      return dequantize_q6_k;
    case TensorType::kIQ4_NL:
      return dequantize_iq4_nl;
    case TensorType::kIQ4_XS:
      return dequantize_iq4_xs;
    case TensorType::kMXFP4:
      return dequantize_mxfp4;
    case TensorType::kTQ1_0:
      return dequantize_tq1_0;
    case TensorType::kTQ2_0:
      return dequantize_tq2_0;
  }
  FATHOM_CHECK(false);
  return nullptr;
}

}  // namespace

float mxfp4_scale(uint8_t e) {
  // 2^-128 and 2^-127 are denormals: one mantissa bit each. From 2^-126 on, e - 1 is the exponent.
  return std::bit_cast<float>(e < 2 ? uint32_t{0x00200000} << e : uint32_t{e - 1u} << 23);
}

ScalesAndMinima unpack_scales_q4_k(const uint8_t* sc) {
  ScalesAndMinima out{};
  for (int b = 0; b < 4; ++b) {
    out.scale[b] = sc[b] & 63;
    out.minimum[b] = sc[b + 4] & 63;
    out.scale[b + 4] = static_cast<uint8_t>((sc[b + 8] & 15) | (sc[b] >> 6) << 4);
    out.minimum[b + 4] = static_cast<uint8_t>((sc[b + 8] >> 4) | (sc[b + 4] >> 6) << 4);
  }
  return out;
}

std::array<uint8_t, 16> unpack_scales_q3_k(const uint8_t* sc) {
  std::array<uint8_t, 16> out{};
  for (int s = 0; s < 16; ++s) {
    const int low = s < 8 ? sc[s] & 15 : sc[s - 8] >> 4;
    const int high = (sc[8 + s % 4] >> (2 * (s / 4))) & 3;
    out[s] = static_cast<uint8_t>(low | high << 4);
  }
  return out;
}

void dequantize_row(TensorType type, const std::byte* row, std::span<float> out) {
  const TensorTypeInfo& format = info(type);
  FATHOM_DCHECK(out.size() % format.block_values == 0);
  const DequantizeBlock decode = dequantizer(type);
  const uint8_t* block = reinterpret_cast<const uint8_t*>(row);
  for (size_t i = 0; i < out.size(); i += format.block_values, block += format.block_bytes) {
    decode(block, out.data() + i);
  }
}

}  // namespace fathom::kernel
