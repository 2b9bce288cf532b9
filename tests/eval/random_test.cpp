#include "eval/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace fathom::eval {
namespace {

// The sequence that the generator's authors' code gives for the state 1, 2, 3, 4.
TEST(Random, IsXoshiro256StarStar) {
  Random random(std::array<uint64_t, 4>{1, 2, 3, 4});
  for (const uint64_t want : {11520ull, 0ull, 1509978240ull, 1215971899390074240ull,
                              1216172134540287360ull, 607988272756665600ull}) {
    EXPECT_EQ(random.next(), want);
  }
}

TEST(Random, IsSeededBySplitmix64) {
  // splitmix64's first four outputs for 1234567, as published, are the state.
  Random seeded(1234567);
  Random stated(std::array<uint64_t, 4>{6457827717110365317ull, 3203168211198807973ull,
                                        9817491932198370423ull, 4593380528125082431ull});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(seeded.next(), stated.next());
}

TEST(Random, BelowIsInRangeAndEven) {
  Random random(7);
  std::array<int, 6> counts{};
  for (int i = 0; i < 60000; ++i) ++counts.at(random.below(6));
  for (const int n : counts) EXPECT_NEAR(n, 10000, 5 * 91);  // 5 standard deviations
}

TEST(Random, BelowRejectsWhatWouldBeBiased) {
  // With n = 3 * 2^62 every fourth draw is rejected; without that, multiples of 3 would come up in
  // half of the cases.
  Random random(11);
  const size_t n = size_t{3} << 62;
  size_t multiples = 0;
  for (int i = 0; i < 30000; ++i) multiples += random.below(n) % 3 == 0;
  EXPECT_NEAR(double(multiples), 10000, 5 * 82);
}

TEST(Random, NormalHasMeanZeroAndVarianceOne) {
  Random random(3);
  double sum = 0, squares = 0;
  const int n = 40000;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / n, 0, 0.025);
  EXPECT_NEAR(squares / n, 1, 0.035);
}

TEST(Random, ShufflesAreEven) {
  Random random(5);
  std::array<int, 6> counts{};
  for (int i = 0; i < 12000; ++i) {
    std::array<int, 3> order = {0, 1, 2};
    random.shuffle(order);
    ++counts.at(static_cast<size_t>(order[0] * 2 + (order[1] > order[2])));
  }
  for (const int n : counts) EXPECT_NEAR(n, 2000, 5 * 41);
}

TEST(Seeds, DependOnEveryPartAndItsPlace) {
  std::set<uint64_t> seeds;
  for (uint64_t a = 0; a < 10; ++a) {
    for (uint64_t b = 0; b < 10; ++b) seeds.insert(mix_seeds({a, b}));
  }
  EXPECT_EQ(seeds.size(), 100u);
  EXPECT_NE(mix_seeds({1}), mix_seeds({1, 0}));
  EXPECT_EQ(seed_of("a"), 0xaf63dc4c8601ec8cull);  // FNV-1a's published value
}

}  // namespace
}  // namespace fathom::eval
