#include "kv/top_k.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace fathom::kv {
namespace {

constexpr size_t kRadixFrom = 1024;  // numbers; below, sorting by comparison is faster

// Unsigned integers in the order of the floats; -0 and 0 are one.
inline uint32_t order_key(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);
  const uint32_t sign = static_cast<uint32_t>(static_cast<int32_t>(bits) >> 31);
  return bits ^ (sign | 0x80000000u);
}

}  // namespace

void TopK::append(std::span<const float> scores, size_t k, int32_t first,
                  std::vector<int32_t>& out) {
  const size_t n = scores.size();
  k = std::min(k, n);
  if (k == 0) return;
  keys_.resize(n);
  for (size_t i = 0; i < n; ++i) keys_[i] = order_key(scores[i]);
  sorted_ = keys_;
  std::nth_element(sorted_.begin(), sorted_.begin() + (k - 1), sorted_.end(), std::greater<>());
  const uint32_t boundary = sorted_[k - 1];
  size_t ties = k;  // how many of those at the boundary there is room for
  for (size_t i = 0; i < n; ++i) ties -= keys_[i] > boundary;
  for (size_t i = 0; i < n; ++i) {
    const bool tied = keys_[i] == boundary;
    if (keys_[i] < boundary || (tied && ties == 0)) continue;
    ties -= tied;
    out.push_back(first + static_cast<int32_t>(i));
  }
}

const std::vector<int32_t>& TopK::top(std::span<const float> scores, size_t k) {
  indices_.clear();
  append(scores, k, 0, indices_);
  return indices_;
}

const std::vector<int32_t>& TopK::ranked(std::span<const float> scores) {
  pairs_.resize(scores.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    pairs_[i] = uint64_t{order_key(scores[i])} << 32 | (UINT32_MAX - i);
  }
  if (pairs_.size() < kRadixFrom) {
    std::sort(pairs_.begin(), pairs_.end(), std::greater<>());
  } else {
    swapped_.resize(pairs_.size());
    for (const int shift : {32, 43, 54}) radix_pass(shift);
  }
  indices_.resize(scores.size());
  for (size_t i = 0; i < indices_.size(); ++i) {
    indices_[i] = static_cast<int32_t>(UINT32_MAX - static_cast<uint32_t>(pairs_[i]));
  }
  return indices_;
}

// Orders by 11 bits, the largest first, and leaves the order of equal ones: bits 32 to 64 are a
// key.
void TopK::radix_pass(int shift) {
  constexpr size_t kBuckets = 1 << 11;
  const auto bucket = [&](uint64_t pair) {
    return kBuckets - 1 - ((pair >> shift) & (kBuckets - 1));
  };
  uint32_t starts[kBuckets + 1] = {};
  for (const uint64_t pair : pairs_) ++starts[bucket(pair) + 1];
  for (size_t i = 0; i < kBuckets; ++i) starts[i + 1] += starts[i];
  for (const uint64_t pair : pairs_) swapped_[starts[bucket(pair)]++] = pair;
  pairs_.swap(swapped_);
}

std::vector<int32_t> top_k(std::span<const float> scores, size_t k) {
  return TopK().top(scores, k);
}

std::vector<int32_t> ranking(std::span<const float> scores) { return TopK().ranked(scores); }

}  // namespace fathom::kv
