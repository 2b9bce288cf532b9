// The largest scores, in one place because decisions must be reproducible: of equal scores the one
// at the lower index wins. O(n). NaN ranks above or below everything, by its sign, but never breaks
// the order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fathom::kv {

class TopK {
 public:
  // Appends first + the indices of the `k` largest of `scores`, ascending; all where there are
  // fewer. Scratch is kept for the next call.
  void append(std::span<const float> scores, size_t k, int32_t first, std::vector<int32_t>& out);
  // Indices of the k largest, ascending; valid until the next call.
  const std::vector<int32_t>& top(std::span<const float> scores, size_t k);
  // All indices, from the largest score to the smallest; valid until the next call.
  const std::vector<int32_t>& ranked(std::span<const float> scores);

 private:
  void radix_pass(int shift);

  std::vector<uint32_t> keys_, sorted_;
  std::vector<uint64_t> pairs_;  // order of the score << 32 | order of the index: larger is first
  std::vector<uint64_t> swapped_;
  std::vector<int32_t> indices_;
};

// The same for one call: the indices, ascending.
std::vector<int32_t> top_k(std::span<const float> scores, size_t k);

// The indices 0..n-1, best score first; equal scores: lower index first.
std::vector<int32_t> ranking(std::span<const float> scores);

}  // namespace fathom::kv
