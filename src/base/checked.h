// Arithmetic on sizes that come from files: an overflow is an answer, not undefined behaviour.
#pragma once

#include <cstdint>
#include <optional>

namespace fathom {

inline std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}
inline std::optional<uint64_t> checked_mul(uint64_t a, uint64_t b) {
  uint64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

inline constexpr uint64_t round_up(uint64_t n, uint64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}
inline constexpr uint64_t ceil_div(uint64_t n, uint64_t d) { return (n + d - 1) / d; }

}  // namespace fathom
