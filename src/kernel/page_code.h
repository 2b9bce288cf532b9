// Pages of codes: keys and values in 8, 4 or 2 bits, decoded by kernels page by page.
//
// A plane is what a page holds of keys or of values, as lines of lanes: keys have a line a channel
// and a lane a token, values a line a token and a lane a channel (v_dim of them). Lines are coded
// in pairs, because that is how BF16 kernels read them.
//
//          a number x is ...            numbers of a group   a group of keys | of values
//   kQ8    (code - 128) * s             s                    32 channels of a token
//   kQ4,2  code * s + m                 s, m                 32 tokens of a channel | 32 channels
//   kT4,2  code * s + m                 s, m                 128 channels of a token
//   kNf4   kNf4Levels[code] * s         s                    64 tokens of a channel | 64 channels
//   kFp4   kFp4Levels[code] * s         s                    64 tokens of a channel | 64 channels
//   kBfp4  (code - 8) * 2^e             e, a byte            32 channels of a token
//
// First come the codes: kQ8 [lines/2][lanes][2], else [lines * bits / 8][lanes] (rounded up), where
// the first line is in the lowest bits of a byte. Then the numbers, f16 but for kBfp4's exponents
// (biased by 127; 0 is a group of zeros): of the groups in order of lines, then lanes; (s, m) side
// by side, but of kT4's and kT2's keys 64 s before 64 m.
//
// kQ8 is the block of GGUF's Q8_0. kQ4 and kQ2 are KIVI's groups (arXiv:2402.02750). kT4 and kT2
// have an integral zero point, m = -s * zero, and may be clipped (RotateKV, arXiv:2501.16383).
// kNf4 is QLoRA's data type (arXiv:2305.14314), kFp4 E2M1 (LLM-FP4, arXiv:2310.16836), kBfp4 block
// floating point (arXiv:2403.20137).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/attention.h"

namespace fathom::kernel {

enum class Plane : uint8_t { kKeys, kValues };

// Lanes of a group of kQ8, kQ4 and kQ2.
inline constexpr size_t kCodeGroup = 32;

struct PlaneShape {
  size_t lines = 0;
  size_t lanes = 0;
};
inline constexpr PlaneShape plane_shape(Plane plane, size_t head_dim) {
  if (plane == Plane::kKeys) return {head_dim, kPageTokens};
  return {kPageTokens, padded_head_dim(head_dim)};
}

// "bf16", "q4", as in KvFormat.
std::string_view format_name(KvFormat format);

inline constexpr bool is_coded(KvFormat format) { return format >= KvFormat::kQ8; }

// Of a coded number, without its share of the group's.
inline constexpr int code_bits(KvFormat format) {
  if (format == KvFormat::kQ8) return 8;
  return format == KvFormat::kQ2 || format == KvFormat::kT2 ? 2 : 4;
}

// What shares its numbers.
struct CodeGroup {
  size_t lines, lanes;
};
inline constexpr CodeGroup code_group(KvFormat format, Plane plane) {
  const bool keys = plane == Plane::kKeys;
  switch (format) {
    case KvFormat::kQ8:
    case KvFormat::kBfp4:
      return keys ? CodeGroup{32, 1} : CodeGroup{1, 32};
    case KvFormat::kT4:
    case KvFormat::kT2:
      return keys ? CodeGroup{128, 1} : CodeGroup{1, 128};
    case KvFormat::kNf4:
    case KvFormat::kFp4:
      return {1, 64};
    default:
      return {1, kCodeGroup};
  }
}

// The 16 quantiles of a normal distribution that NF4 is made of, and E2M1's numbers over the
// largest, sign in the upper bit.
constexpr float kNf4Levels[16] = {-1.0f,        -0.69619280f, -0.52507305f, -0.39491749f,
                                  -0.28444138f, -0.18477343f, -0.09105004f, 0.0f,
                                  0.07958030f,  0.16093020f,  0.24611230f,  0.33791524f,
                                  0.44070983f,  0.56261700f,  0.72295684f,  1.0f};
constexpr float kFp4Levels[16] = {
    0.0f,  1 / 12.0f,  2 / 12.0f,  3 / 12.0f,  4 / 12.0f,  6 / 12.0f,  8 / 12.0f,  1.0f,
    -0.0f, -1 / 12.0f, -2 / 12.0f, -3 / 12.0f, -4 / 12.0f, -6 / 12.0f, -8 / 12.0f, -1.0f};

// Where the scales of a coded plane begin, and its bytes, rounded up to 64.
size_t coded_scales_offset(KvFormat format, Plane plane, size_t head_dim);
size_t coded_bytes(KvFormat format, Plane plane, size_t head_dim);

// Encodes [lines][lanes] floats. Scales are rounded to f16 before the codes are chosen. kT4 and kT2
// cover `clip` of a group's range.
void encode_plane(KvFormat format, Plane plane, size_t head_dim, const float* x, void* out,
                  float clip = 1.0f);
// The definition that kernels are tested against: value of one line and lane.
float decode_code(KvFormat format, Plane plane, size_t head_dim, const void* page, size_t line,
                  size_t lane);

// The keys or values of a page in any format as rows, [64][head_dim].
void page_keys(const PageView& page, size_t head_dim, float* rows);
void page_values(const PageView& page, size_t head_dim, float* rows);

}  // namespace fathom::kernel
