// Attention of a tile of query rows over pages of keys and values, with online softmax
// (FlashAttention, arXiv:2205.14135). The score matrix is never stored.
//
// A page holds up to 64 tokens of one kv head:
//   f32, f16 : k [head_dim][64]           v [64][v_dim]
//   bf16     : k [ceil(head_dim/2)][64][2]   v [32][v_dim][2] (pairs of tokens)
//   coded    : planes of integer codes, see page_code.h
// Keys and values of a page may differ in format, and pages may: plain ones are in AttendArgs's
// format, which decides the arithmetic (BF16 products or f32); coded ones are decoded to it.
// v_dim = head_dim rounded up to 16. Keys lie with tokens in the lanes, so a score never needs a
// sum across lanes. Slots beyond `tokens` hold finite numbers.
//
// Each row is computed by itself in the order of the pages: its result does not depend on the
// other rows of the call, on how many there are, or on fully masked pages. Results for disjoint
// page runs join by merge_partials(); callers that split keys do so at fixed page multiples
// (kSegmentPages), so decoding and prefill give the same bits.
//
// Scores are kept in base 2: s2 = log2(e) * scale * (q.k), with a soft cap applied before the
// factor log2(e). A partial is (max, sum, out) with out unnormalised: sums of 2^(s2 - max), where
// max is near the largest score, not necessarily equal to it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fathom::kernel {

inline constexpr size_t kPageTokens = 64;
inline constexpr size_t kSegmentPages = 16;

// Those after kBF16 are codes: page_code.h.
enum class KvFormat : uint8_t { kF32, kF16, kBF16, kQ8, kQ4, kQ2, kT4, kT2, kNf4, kFp4, kBfp4 };

inline constexpr size_t padded_head_dim(size_t head_dim) { return (head_dim + 15) / 16 * 16; }

struct PageView {
  const void* k = nullptr;
  const void* v = nullptr;
  int32_t tokens = 0;
  int32_t first_position = 0;          // slot i is at first_position + i ...
  const int32_t* positions = nullptr;  // ... or, where this is set, at positions[i] (ascending)
  KvFormat k_format = KvFormat::kF16;
  KvFormat v_format = KvFormat::kF16;
  uint64_t slots = ~uint64_t{0};  // bit i: slot i is there to be seen
  // Thin keys: lines of these channels only, ascending; plain. Null: all.
  const uint16_t* channels = nullptr;
  uint16_t channel_count = 0;

  size_t key_dim(size_t head_dim) const { return channels ? channel_count : head_dim; }
};

// Row r of a tile: q [rows][head_dim]; state [rows] and out [rows][v_dim], f32. Fresh state is
// max = -inf, sum = 0, out = 0.
struct AttendState {
  float* max = nullptr;
  float* sum = nullptr;
  float* out = nullptr;
};

struct AttendArgs {
  KvFormat format = KvFormat::kF16;  // of plain pages
  size_t head_dim = 0;
  size_t key_dim = 0;                  // channels of q and of the pages' keys; 0: head_dim
  size_t rows = 0;                     // at most kAttendRows
  const float* q = nullptr;            // [rows][key_channels()]
  const int32_t* positions = nullptr;  // [rows]: row r sees keys at positions <= positions[r] ...
  int32_t window = 0;                  // ... and > positions[r] - window; 0: no window
  float scale = 1.0f;
  float soft_cap = 0.0f;  // 0: none; else cap * tanh(s / cap)
  const PageView* pages = nullptr;
  size_t page_count = 0;
  const PageView* next = nullptr;  // asked for meanwhile: what the caller's next call begins with
  AttendState state;
  std::byte* scratch = nullptr;  // attend_scratch_bytes(head_dim), 64-byte aligned

  size_t key_channels() const { return key_dim > 0 ? key_dim : head_dim; }
};

// Continues `state` over the pages.
using AttendFn = void (*)(const AttendArgs&);

inline constexpr size_t kAttendRows = 192;

// At most so many numbers belong to the groups of a coded plane (page_code.h): two for every 32 of
// its own, or two for a token.
inline size_t attend_plane_numbers(size_t head_dim) {
  return 4 * (padded_head_dim(head_dim) + kPageTokens);
}

// The tile's queries in the kernel's form, its probabilities and sums, a page of keys and values as
// floats, the numbers of both planes, and queries and probabilities times such numbers.
inline size_t attend_scratch_bytes(size_t head_dim) {
  const size_t d = padded_head_dim(head_dim);
  return sizeof(float) * (kAttendRows * (d + kPageTokens + 16) + 2 * kPageTokens * d +
                          2 * attend_plane_numbers(head_dim) + 12 * (d + kPageTokens)) +
         4096;
}

// into = into (+) from, both (max, sum, out) of `rows` rows. Empty partials (max = -inf) are the
// identity, bit for bit.
void merge_partials(const AttendState& into, const AttendState& from, size_t rows, size_t v_dim);

// out[r] = state.out[r] / sum, 0 for a row that saw nothing; lse (natural log, may be null) =
// ln sum e^s, -inf for such a row. `out_stride` in floats.
struct AttendResult {
  float* out = nullptr;
  size_t out_stride = 0;
  float* lse = nullptr;
};
void finish_attention(const AttendState& state, size_t rows, size_t head_dim,
                      const AttendResult& result);

}  // namespace fathom::kernel
