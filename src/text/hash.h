// A hash for short byte strings and pairs, for tables that live in this process only.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace fathom::text {

inline uint64_t mix_hash(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

namespace hash_detail {

template <class Word>
uint64_t load(const char* bytes) {
  Word word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

}  // namespace hash_detail

inline uint64_t hash_bytes(std::string_view text) {
  constexpr uint64_t kA = 0x9E3779B97F4A7C15u, kB = 0xD1B54A32D192ED03u;  // odd, well mixed
  const char* p = text.data();
  size_t n = text.size();
  uint64_t hash = n * kB;
  for (; n > 16; n -= 8, p += 8) hash = mix_hash(hash ^ hash_detail::load<uint64_t>(p), kA);
  uint64_t head = 0, tail = 0;
  if (n >= 8) {
    head = hash_detail::load<uint64_t>(p);
    tail = hash_detail::load<uint64_t>(p + n - 8);
  } else if (n >= 4) {
    head = hash_detail::load<uint32_t>(p);
    tail = hash_detail::load<uint32_t>(p + n - 4);
  } else if (n > 0) {
    head = static_cast<uint8_t>(p[0]) | uint64_t{static_cast<uint8_t>(p[n / 2])} << 8;
    tail = static_cast<uint8_t>(p[n - 1]);
  }
  return mix_hash(head ^ hash ^ kA, tail ^ kB);
}

}  // namespace fathom::text
