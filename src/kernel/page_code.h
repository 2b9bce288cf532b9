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
// First come the codes: kQ8 as bytes [lines/2][lanes][2], the others as words of 32 bits,
// [lines * bits / 32][lanes] (both rounded up), the even lines of a word in its lower half and the
// odd ones in its upper half, each from the lowest bits up: a shift leaves a pair of lines in the
// lowest bits of both halves. Then the numbers, f16 but for kBfp4's exponents (biased by 127; 0 is
// a group of zeros): [groups][s, m][width], see CodeLayout.
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
#include "kernel/generic/inline.h"

namespace fathom::kernel {

enum class Plane : uint8_t { kKeys, kValues };

// Lanes of a group of kQ8, kQ4 and kQ2.
inline constexpr size_t kCodeGroup = 32;

struct PlaneShape {
  size_t lines = 0;
  size_t lanes = 0;
};
FATHOM_INLINE constexpr PlaneShape plane_shape(Plane plane, size_t head_dim) {
  if (plane == Plane::kKeys) return {head_dim, kPageTokens};
  return {kPageTokens, padded_head_dim(head_dim)};
}

// "bf16", "q4", as in KvFormat.
std::string_view format_name(KvFormat format);

FATHOM_INLINE constexpr bool is_coded(KvFormat format) { return format >= KvFormat::kQ8; }

// Of a coded number, without its share of the group's.
FATHOM_INLINE constexpr int code_bits(KvFormat format) {
  if (format == KvFormat::kQ8) return 8;
  return format == KvFormat::kQ2 || format == KvFormat::kT2 ? 2 : 4;
}

// What shares its numbers.
struct CodeGroup {
  size_t lines, lanes;
};
FATHOM_INLINE constexpr CodeGroup code_group(KvFormat format, Plane plane) {
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

// Where everything lies in a coded plane.
struct CodeLayout {
  PlaneShape shape;
  CodeGroup group;
  size_t bits;          // of a code
  size_t kinds;         // numbers of a group: s, or s and m
  size_t number_bytes;  // of one of them
  size_t width;       // numbers side by side: of all lanes where a group lies in one lane, else of
                      // all lines, rounded up to 16
  size_t numbers;     // of the plane, room included
  size_t code_bytes;  // of the plane: where its numbers begin

  FATHOM_INLINE CodeLayout(KvFormat format, Plane plane, size_t head_dim)
      : shape(plane_shape(plane, head_dim)), group(code_group(format, plane)) {
    bits = static_cast<size_t>(code_bits(format));
    kinds = format == KvFormat::kQ4 || format == KvFormat::kQ2 || format == KvFormat::kT4 ||
                    format == KvFormat::kT2
                ? 2
                : 1;
    number_bytes = format == KvFormat::kBfp4 ? 1 : 2;
    width = by_lane() ? shape.lanes : (shape.lines + 15) / 16 * 16;
    const size_t groups = by_lane() ? (shape.lines + group.lines - 1) / group.lines
                                    : (shape.lanes + group.lanes - 1) / group.lanes;
    numbers = groups * kinds * width;
    const size_t lines_together = bits == 8 ? 2 : 32 / bits;
    code_bytes = (shape.lines + lines_together - 1) / lines_together * lines_together *
                 shape.lanes * bits / 8;
  }
  FATHOM_INLINE bool by_lane() const { return group.lanes == 1; }
  // Index of a number of the group that a line and lane are in.
  FATHOM_INLINE size_t number(size_t kind, size_t line, size_t lane) const {
    return by_lane() ? (line / group.lines * kinds + kind) * width + lane
                     : (lane / group.lanes * kinds + kind) * width + line;
  }
  FATHOM_INLINE size_t bytes() const {
    return (code_bytes + numbers * number_bytes + 63) / 64 * 64;
  }
};

size_t coded_bytes(KvFormat format, Plane plane, size_t head_dim);

// Encodes [lines][lanes] floats. Scales are rounded to f16 before the codes are chosen. kT4 and kT2
// cover `clip` of a group's range.
void encode_plane(KvFormat format, Plane plane, size_t head_dim, const float* x, void* out,
                  float clip = 1.0f);
// The definition that kernels are tested against: value of one line and lane.
float decode_code(KvFormat format, Plane plane, size_t head_dim, const void* page, size_t line,
                  size_t lane);

// What lies in a coded plane: the code of a line and lane, and a number of its group.
int code_at(KvFormat format, Plane plane, size_t head_dim, const void* page, size_t line,
            size_t lane);
struct GroupNumber {
  size_t kind;  // 0: s, 1: m
  size_t line, lane;
};
float number_at(KvFormat format, Plane plane, size_t head_dim, const void* page,
                const GroupNumber& at);

// The keys or values of a page in any format as rows, [64][head_dim].
void page_keys(const PageView& page, size_t head_dim, float* rows);
void page_values(const PageView& page, size_t head_dim, float* rows);

}  // namespace fathom::kernel
