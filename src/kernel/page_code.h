// Pages of integer codes: keys and values in 8, 4 or 2 bits, decoded by kernels page by page.
//
// A plane is what a page holds of keys or of values, as lines of lanes: keys have a line a channel
// and a lane a token, values a line a token and a lane a channel (v_dim of them). Lines are coded
// in pairs, because that is how BF16 kernels read them.
//
//   kQ8  x ~ (code - 128) * s          codes [lines/2][lanes][2]        one s for a token's 32
//   channels kQ4  x ~ code * s + m              codes [lines/2][lanes]           (s, m) for 32
//   lanes of a line: kQ2  x ~ code * s + m              codes [lines/4][lanes]           32 tokens
//   of a key channel,
//                                                                       32 channels of a token's
//                                                                       value
// (lines rounded up; in a byte the first line is in the lowest bits), followed by f16 scales:
//   kQ8 keys [lines/32][lanes], values [lines][lanes/32]; kQ4, kQ2 [lines][lanes/32][s, m].
//
// kQ8 is the block of GGUF's Q8_0; kQ4 and kQ2 are KIVI's groups (arXiv:2402.02750).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/attention.h"

namespace fathom::kernel {

enum class Plane : uint8_t { kKeys, kValues };

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

// Where the scales of a coded plane begin, and its bytes, rounded up to 64.
size_t coded_scales_offset(KvFormat format, Plane plane, size_t head_dim);
size_t coded_bytes(KvFormat format, Plane plane, size_t head_dim);

// Encodes [lines][lanes] floats. kQ8's scale is rounded to f16 before the codes are chosen.
void encode_plane(KvFormat format, Plane plane, size_t head_dim, const float* x, void* out);
// The definition that kernels are tested against: value of one line and lane.
float decode_code(KvFormat format, Plane plane, size_t head_dim, const void* page, size_t line,
                  size_t lane);

// The keys or values of a page in any format as rows, [64][head_dim].
void page_keys(const PageView& page, size_t head_dim, float* rows);
void page_values(const PageView& page, size_t head_dim, float* rows);

}  // namespace fathom::kernel
