#include "eval/cost_model.h"

#include <gtest/gtest.h>

namespace fathom::eval {
namespace {

struct Made {
  double token, pair;  // of reading: the rest, attention
  double step, key;    // of a step
};
CostModel made_of(const Made& m) {
  CostModel out;
  for (const double n : {1000.0, 250.0}) {
    const double reading = m.pair * n * n, stepping = m.key * n;
    out.add_read(size_t(n), {m.token * n + reading, reading});
    out.add_step(size_t(n), {m.step + stepping, stepping});
  }
  return out;
}
constexpr Made kDense = {1e-3, 1e-7, 0.01, 1e-6};

TEST(CostModel, CarriesOnWhatItWasMadeOf) {
  const CostModel m = made_of(kDense);
  EXPECT_NEAR(m.read_seconds(64000), 64 + 409.6, 1e-9);
  EXPECT_NEAR(m.step_seconds(64000), 0.074, 1e-12);
  EXPECT_NEAR(m.read_seconds(1000), 1.1, 1e-12) << "what was measured is given back";
}

TEST(CostModel, NoiseOnlyAddsTime) {
  CostModel m = made_of(kDense), noisy;
  noisy.add_read(1000, {5, 1});
  noisy.add_step(250, {1, 0.5});
  m.merge(noisy);
  EXPECT_NEAR(m.read_seconds(64000), 64 + 409.6, 1e-9);
  EXPECT_NEAR(m.step_seconds(64000), 0.074, 1e-12);
  // Noise in the rest does not reach what grows with the length.
  CostModel other = made_of(kDense);
  for (const size_t n : {250, 1000}) other.add_step(n, {3.0 + double(n), double(n) * 1e-6});
  EXPECT_NEAR(other.step_seconds(64000), 0.074, 1e-12);
}

TEST(CostModel, NeitherPartIsBelowZero) {
  CostModel falling;  // a short text whose attention took longer a token
  falling.add_read(100, {1, 1});
  falling.add_read(1000, {2, 2});
  EXPECT_NEAR(falling.read_seconds(10000), 20, 1e-9);
  CostModel steep;
  steep.add_read(500, {0.1, 0.1});
  steep.add_read(1000, {10, 10});
  EXPECT_NEAR(steep.read_seconds(10000), 1000, 1e-9) << "all of it for pairs";
}

TEST(CostModel, OfOneLengthAllOfAttentionGrows) {
  CostModel m;
  m.add_read(1000, {3, 1});
  m.add_step(1000, {0.03, 0.01});
  EXPECT_NEAR(m.read_seconds(1000), 3, 1e-12);
  EXPECT_NEAR(m.read_seconds(2000), 4 + 4, 1e-12);
  EXPECT_NEAR(m.step_seconds(2000), 0.02 + 0.02, 1e-12);
  EXPECT_NEAR(m.rest_of_token(), 0.002, 1e-12);
  EXPECT_NEAR(m.rest_of_step(), 0.02, 1e-12);
}

}  // namespace
}  // namespace fathom::eval
