// The number formats of weights, and what their bits mean.
//
// dequantize_row() and quantize_row() are the definition of every format: plain scalar code, kept
// simple. Vector kernels have their own unpacking and are tested against these. Both are pure
// functions and may be called from any thread; neither allocates.
//
// A row is a whole number of blocks, back to back. A block needs no alignment. Integers are little
// endian; `half` is an IEEE binary16; int8 are signed bytes, all other bytes are unsigned. `i` is
// the index of a value in its block and byte numbers count from the block's start.
//
// One value a block: F32, F16, BF16.
//
// 32 values a block. The nibble of value i is the low half of byte qs[i] for i < 16 and the high
// half of qs[i - 16] for i >= 16 (never 2i and 2i + 1).
//
//   type    bytes  map                                        value i
//   Q4_0    18     0 half d, 2 qs[16]                         d * (nibble - 8)
//   Q4_1    20     0 half d, 2 half m, 4 qs[16]               d * nibble + m
//   Q5_0    22     0 half d, 2 u32 high, 6 qs[16]             d * (nibble + 16 * bit i - 16)
//   Q5_1    24     0 half d, 2 half m, 4 u32 high, 8 qs[16]   d * (nibble + 16 * bit i) + m
//   Q8_0    34     0 half d, 2 int8 qs[32]                    d * qs[i]
//   IQ4_NL  18     0 half d, 2 qs[16]                         d * kIq4Values[nibble]
//   MXFP4   17     0 e, 1 qs[16]                              2^(e - 128) * kMxfp4Values[nibble]
//
// `bit i` is bit i of the u32 `high`. The scale of MXFP4 is a float denormal for e < 2: it must not
// be flushed to zero. e = 255, which the OCP text calls NaN, is 2^127 here as it is in ggml.
//
// 256 values a block, in sub-blocks of 32 (number b = i / 32) or 16 (number s = i / 16). H = i /
// 128 is the half, g = i % 128 / 32 the quarter of the half, l = i % 32 the lane.
//
//   type    bytes  map
//   Q2_K    84     0 sc[16], 16 qs[64], 80 half d, 82 half dmin
//   Q3_K    110    0 hmask[32], 32 qs[64], 96 sc[12], 108 half d
//   Q4_K    144    0 half d, 2 half dmin, 4 sc[12], 16 qs[128]
//   Q5_K    176    0 half d, 2 half dmin, 4 sc[12], 16 qh[32], 48 qs[128]
//   Q6_K    210    0 ql[128], 128 qh[64], 192 int8 sc[16], 208 half d
//   IQ4_XS  136    0 half d, 2 u16 sh, 4 sl[4], 8 qs[128]
//   TQ1_0   54     0 qs[48], 48 qh[4], 52 half d
//   TQ2_0   66     0 qs[64], 64 half d
//
//   type    value i
//   Q2_K    d * (sc[s] & 15) * q - dmin * (sc[s] >> 4)
//   Q3_K    d * (S_s - 32) * (q - 4 + 4 * high)
//   Q4_K    d * S_b * q - dmin * M_b
//   Q5_K    d * S_b * q - dmin * M_b
//   Q6_K    d * sc[s] * (q - 32)
//   IQ4_XS  d * (S_b - 32) * kIq4Values[q]
//   TQ1_0   d * (q - 1)
//   TQ2_0   d * (q - 1)
//
//   type    where the codes and scales are
//   Q2_K    q = (qs[32*H + l] >> 2*g) & 3
//   Q3_K    q likewise; high = bit b of hmask[l]. S_s is 6 bits: the low four are the low half of
//           sc[s] for s < 8 and the high half of sc[s - 8] after; the top two are bits 2*(s/4) of
//           sc[8 + s%4].
//   Q4_K    q = (qs[32*(b/2) + l] >> 4*(b%2)) & 15. S_b and M_b are 6 bits. b < 4: S = sc[b] & 63,
//           M = sc[b + 4] & 63. b >= 4: the low four are the halves of sc[b + 4] (S low, M high),
//           the top two are the top bits of sc[b - 4] for S and of sc[b] for M.
//   Q5_K    as Q4_K, and q has bit b of qh[l] as its fifth bit.
//   Q6_K    q has four low bits (ql[64*H + 32*(g%2) + l] >> 4*(g/2)) & 15 and two high bits
//           (qh[32*H + l] >> 2*g) & 3.
//   IQ4_XS  q: nibbles of qs[16*b ...] as in the types of 32 values. S_b is 6 bits: the low four
//           are half b%2 of sl[b/2], the top two are bits 2*b of sh.
//   TQ2_0   q as in Q2_K, values 0 to 2.
//   TQ1_0   Trits: a byte holds five (or four and a zero), first one first, as the fraction
//           (q0*81 + q1*27 + q2*9 + q3*3 + q4) / 243 of 256, rounded up; so trit n is the integer
//           part of 3 * (byte * 3^n mod 256) / 256. Value 32*n + m is trit n of qs[m], m < 32;
//           value 160 + 16*n + m is trit n of qs[32 + m], m < 16; value 240 + 4*n + m is trit n
//           (n < 4) of qh[m].
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/tensor_type.h"

namespace fathom::kernel {

// The sixteen levels of IQ4_NL and IQ4_XS.
inline constexpr std::array<int8_t, 16> kIq4Values = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                      1,    13,   25,  38,  53,  69,  89,  113};

// The values of a four-bit float (one sign, two exponent, one mantissa bit), doubled.
inline constexpr std::array<int8_t, 16> kMxfp4Values = {0, 1,  2,  3,  4,  6,  8,  12,
                                                        0, -1, -2, -3, -4, -6, -8, -12};

// The scale of an MXFP4 block: 2^(e - 128), exact for every e.
float mxfp4_scale(uint8_t e);

// The eight scales and minima of a Q4_K or Q5_K block, from its twelve bytes.
struct ScalesAndMinima {
  std::array<uint8_t, 8> scale;
  std::array<uint8_t, 8> minimum;
};
ScalesAndMinima unpack_scales_q4_k(const uint8_t* sc);
// The sixteen scales of a Q3_K block, from its twelve bytes; 32 is not yet taken off.
std::array<uint8_t, 16> unpack_scales_q3_k(const uint8_t* sc);

// Decodes out.size() values. REQUIRES: a whole number of blocks, all of them at `row`.
void dequantize_row(TensorType type, const std::byte* row, std::span<float> out);

// Encodes row.size() values into info(type).row_bytes(row.size()) bytes at `out`. The encoders are
// the formats' usual ones without an importance matrix: a search for scales where the format gains
// from one, nearest codes given the scales as stored. Deterministic. REQUIRES: a whole number of
// blocks, of finite values; scales beyond 65504 become infinite.
void quantize_row(TensorType type, std::span<const float> row, std::byte* out);

}  // namespace fathom::kernel
