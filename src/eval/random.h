// Random numbers that are the same on every machine: splitmix64 seeds xoshiro256** (Blackman and
// Vigna 2018), and everything drawn from it is defined here, since the distributions of the C++
// library differ between implementations.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace fathom::eval {

class Random {
 public:
  explicit Random(uint64_t seed);
  // The generator's state itself, for comparison with published sequences. REQUIRES: not all zero.
  explicit Random(const std::array<uint64_t, 4>& state) : state_(state) {}

  uint64_t next();  // 64 random bits
  // Uniform in [0, n): multiply-shift with rejection, without bias. REQUIRES: n > 0.
  size_t below(size_t n);
  // Uniform in [low, high]. REQUIRES: low <= high.
  int64_t between(int64_t low, int64_t high);
  double unit();    // [0, 1), 53 bits
  double normal();  // mean 0, variance 1 (polar method)

  template <class T>
  const T& pick(std::span<const T> from) {
    return from[below(from.size())];
  }
  template <class Container>
  const typename Container::value_type& pick(const Container& from) {
    return from[below(from.size())];
  }
  // Fisher-Yates, from the back.
  template <class Container>
  void shuffle(Container& values) {
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }
  std::string text(std::string_view alphabet, size_t length);

 private:
  std::array<uint64_t, 4> state_{};
};

// A seed from several: a change in any of them, or in their order, gives an unrelated one.
uint64_t mix_seeds(std::initializer_list<uint64_t> parts);
// FNV-1a, so that names may be parts of seeds.
uint64_t seed_of(std::string_view name);

}  // namespace fathom::eval
