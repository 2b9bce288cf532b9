#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "kernel/block_encoders.h"
#include "kernel/block_formats.h"
#include "kernel/scale_search.h"

namespace fathom::kernel {

float put_half(float value, uint8_t* at) {
  const Half half = to_half(value);
  std::memcpy(at, &half.bits, sizeof(half.bits));
  return to_float(half);
}

void put_nibbles(const uint8_t* codes, uint8_t* qs) {
  for (int i = 0; i < 16; ++i) qs[i] = static_cast<uint8_t>(codes[i] | codes[i + 16] << 4);
}

void put_two_bits(const uint8_t* codes, uint8_t* qs) {
  for (int half = 0; half < 2; ++half) {
    for (int l = 0; l < 32; ++l) {
      const uint8_t* c = codes + 128 * half + l;
      qs[32 * half + l] = static_cast<uint8_t>(c[0] | c[32] << 2 | c[64] << 4 | c[96] << 6);
    }
  }
}

namespace {

void put_fifth_bits(const uint8_t* codes, uint8_t* at) {
  uint32_t high = 0;
  for (int i = 0; i < 32; ++i) high |= static_cast<uint32_t>(codes[i] >> 4) << i;
  std::memcpy(at, &high, sizeof(high));
}

// Codes 0 to 2*zero - 1 for values around zero: the peak maps to code 0 exactly, the same distance
// on the other side just misses the top code. Returns d.
float symmetric_codes(const float* x, int zero, uint8_t* codes) {
  const float d = signed_peak({x, 32}) / static_cast<float>(-zero);
  const float inverse = inverse_or_zero(d);
  // Halves round up here, not to even: the shift makes every code a truncation.
  const float shift = static_cast<float>(zero) + 0.5f, top = static_cast<float>(2 * zero - 1);
  for (int i = 0; i < 32; ++i) {
    const float v = x[i] * inverse + shift;
    codes[i] = static_cast<uint8_t>(v < top ? std::max(v, 0.0f) : top);
  }
  return d;
}

struct Line {
  float step = 0, low = 0;
};

// Codes 0 to top from the least value to the greatest.
Line range_codes(const float* x, int top, uint8_t* codes) {
  const auto [low, high] = std::minmax_element(x, x + 32);
  const float step = (*high - *low) / static_cast<float>(top);
  const float inverse = inverse_or_zero(step);
  for (int i = 0; i < 32; ++i) {
    const float v = (x[i] - *low) * inverse + 0.5f;
    codes[i] = static_cast<uint8_t>(v < static_cast<float>(top) ? std::max(v, 0.0f) : top);
  }
  return {step, *low};
}

void clear_high(uint8_t* codes) {
  for (int i = 0; i < 32; ++i) codes[i] &= 15;
}

void encode_f32(const float* x, uint8_t* block) { std::memcpy(block, x, sizeof(*x)); }
void encode_f16(const float* x, uint8_t* block) { put_half(*x, block); }
void encode_bf16(const float* x, uint8_t* block) {
  const BFloat b = to_bfloat(*x);
  std::memcpy(block, &b.bits, sizeof(b.bits));
}

using EncodeBlock = void (*)(const float*, uint8_t*);

EncodeBlock encoder(TensorType type) {
  switch (type) {
    case TensorType::kF32:
      return encode_f32;
    case TensorType::kF16:
      return encode_f16;
    case TensorType::kBF16:
      return encode_bf16;
    case TensorType::kQ4_0:
      return encode_q4_0;
    case TensorType::kQ4_1:
      return encode_q4_1;
    case TensorType::kQ5_0:
      return encode_q5_0;
    case TensorType::kQ5_1:
      return encode_q5_1;
    case TensorType::kQ8_0:
      return encode_q8_0;
    case TensorType::kQ2_K:
      return encode_q2_k;
    case TensorType::kQ3_K:
      return encode_q3_k;
    case TensorType::kQ4_K:
      return encode_q4_k;
    case TensorType::kQ5_K:
      return encode_q5_k;
    case TensorType::kQ6_K:
      return encode_q6_k;
    case TensorType::kIQ4_NL:
      return encode_iq4_nl;
    case TensorType::kIQ4_XS:
      return encode_iq4_xs;
    case TensorType::kMXFP4:
      return encode_mxfp4;
    case TensorType::kTQ1_0:
      return encode_tq1_0;
    case TensorType::kTQ2_0:
      return encode_tq2_0;
  }
  FATHOM_CHECK(false);
  return nullptr;
}

}  // namespace

void encode_q4_0(const float* x, uint8_t* block) {
  uint8_t codes[32];
  put_half(symmetric_codes(x, 8, codes), block);
  put_nibbles(codes, block + 2);
}

void encode_q5_0(const float* x, uint8_t* block) {
  uint8_t codes[32];
  put_half(symmetric_codes(x, 16, codes), block);
  put_fifth_bits(codes, block + 2);
  clear_high(codes);
  put_nibbles(codes, block + 6);
}

void encode_q4_1(const float* x, uint8_t* block) {
  uint8_t codes[32];
  const Line line = range_codes(x, 15, codes);
  put_half(line.step, block);
  put_half(line.low, block + 2);
  put_nibbles(codes, block + 4);
}

void encode_q5_1(const float* x, uint8_t* block) {
  uint8_t codes[32];
  const Line line = range_codes(x, 31, codes);
  put_half(line.step, block);
  put_half(line.low, block + 2);
  put_fifth_bits(codes, block + 4);
  clear_high(codes);
  put_nibbles(codes, block + 8);
}

void encode_q8_0(const float* x, uint8_t* block) {
  const float d = std::fabs(signed_peak({x, 32})) / 127.0f;
  const float inverse = inverse_or_zero(d);
  put_half(d, block);
  for (int i = 0; i < 32; ++i) {
    // Halves round away from zero.
    const float v = std::clamp(x[i] * inverse, -127.0f, 127.0f);
    block[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(v + std::copysign(0.5f, v)));
  }
}

void encode_mxfp4(const float* x, uint8_t* block) {
  // The peak's exponent becomes that of the largest code (12, doubled: 2^3 and some), so a peak
  // above 6 * 2^k is cut to it.
  const float peak = std::fabs(signed_peak({x, 32}));
  const int e = peak > 0.0f ? std::clamp(std::ilogb(peak), -125, 129) + 125 : 0;
  const float d = mxfp4_scale(static_cast<uint8_t>(e));
  constexpr float kBorders[] = {0.5f, 1.5f, 2.5f, 3.5f, 5.0f, 7.0f, 10.0f};
  uint8_t codes[32];
  for (int i = 0; i < 32; ++i) {
    const float v = std::fabs(x[i]) / d;
    int code = 0;
    for (const float border : kBorders) code += v > border;
    codes[i] = static_cast<uint8_t>(code > 0 && x[i] < 0.0f ? code + 8 : code);
  }
  block[0] = static_cast<uint8_t>(e);
  put_nibbles(codes, block + 1);
}

void quantize_row(TensorType type, std::span<const float> row, std::byte* out) {
  const TensorTypeInfo& format = info(type);
  FATHOM_DCHECK(row.size() % format.block_values == 0);
  const EncodeBlock encode = encoder(type);
  uint8_t* block = reinterpret_cast<uint8_t*>(out);
  for (size_t i = 0; i < row.size(); i += format.block_values, block += format.block_bytes) {
    encode(row.data() + i, block);
  }
}

}  // namespace fathom::kernel
