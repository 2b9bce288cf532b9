#include "kv/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "support/decisions.h"

namespace fathom::kv {
namespace {

// Both ways of undoing a rotation, at positions near and far, for both layouts, with a magnitude
// and with channels that are not rotated. Rotated in f32: half an ulp of each product.
TEST(InverseRotations, UndoRotations) {
  constexpr size_t kDim = 24;
  std::vector<double> frequencies;
  for (size_t i = 0; i < 8; ++i) frequencies.push_back(std::pow(1e4, -double(i) / 8));
  std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  for (const auto style : {kernel::RopeStyle::kAdjacent, kernel::RopeStyle::kHalf}) {
    const RopeView rope{frequencies, 1.25, style};
    InverseRotations all(rope);
    all.reach(1000001);
    for (const size_t position : {0u, 1u, 63u, 64u, 65u, 4097u, 1000000u}) {
      std::vector<float> x(kDim), rotated(kDim), back(kDim), again(kDim);
      for (float& value : x) value = normal(rng);
      Rotation(rope, double(position)).apply(x.data(), kDim, rotated.data());
      Rotation::inverse(rope, double(position)).apply(rotated.data(), kDim, back.data());
      all.apply(position, rotated.data(), kDim, again.data());
      for (size_t c = 0; c < kDim; ++c) {
        EXPECT_NEAR(back[c], x[c], 5e-7) << position;
        EXPECT_NEAR(again[c], x[c], 5e-7) << position;
      }
    }
  }
}

// Keys moved from their positions to cache slots, as kvpress does it with angles in f32.
TEST(Rotation, MovesKeysAsKvpress) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto rope = recorded_rope(test::recorded_layer());
  const auto want = test::expected_floats("rerotation.keys");
  for (size_t h = 0; h < 4; ++h) {
    const HeadView head = test::recorded_layer().head(h, 2048);
    const auto kept = test::expected_row("snapkv.avg5.kept", h, 256);
    for (size_t slot = 0; slot < 256; ++slot) {
      std::vector<float> moved(32);
      const Rotation rotation(rope->view, double(slot) - double(kept[slot]));
      rotation.apply(head.key(size_t(kept[slot])), 32, moved.data());
      test::expect_close(moved, std::span(want).subspan((h * 256 + slot) * 32, 32), {0, 2e-3},
                         "key at slot " + std::to_string(slot));
    }
  }
}

}  // namespace
}  // namespace fathom::kv
