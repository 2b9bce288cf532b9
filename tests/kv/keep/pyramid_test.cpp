#include "kv/keep/pyramid.h"

#include <gtest/gtest.h>

#include "support/decisions.h"

namespace fathom::kv {
namespace {

using fathom::test::expected_integers;

// Rows of (layers, budget, window, prompt, beta) and each layer's total; -1: not applicable.
TEST(Pyramid, BudgetsAreThoseOfBothRepositories) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto cases = expected_integers("pyramidkv.cases");
  const auto authors = expected_integers("pyramidkv.authors.total_kept");
  const auto kvpress = expected_integers("pyramidkv.kvpress.total_kept");
  for (size_t i = 0; i < 7; ++i) {
    const int64_t* c = cases.data() + i * 5;
    const PyramidShape shape{size_t(c[0]), size_t(c[1]), size_t(c[2]), size_t(c[3]), double(c[4])};
    for (size_t l = 0; l < shape.layers; ++l) {
      SCOPED_TRACE("case " + std::to_string(i) + ", layer " + std::to_string(l));
      const auto kept = [&](PyramidRule rule) {
        return int64_t(std::min(pyramid_budget(shape, rule, l), shape.prompt));
      };
      EXPECT_EQ(kept(PyramidRule::kAuthors), authors[i * 32 + l]);
      if (kvpress[i * 32 + l] >= 0) {
        EXPECT_EQ(kept(PyramidRule::kKvpress), kvpress[i * 32 + l]);
      }
    }
  }
}

TEST(Pyramid, ExactBudgetsFallAndAddUp) {
  for (const size_t layers : {1u, 2u, 3u, 16u, 31u}) {
    for (const size_t budget : {33u, 64u, 257u, 1000u}) {
      const PyramidShape shape{layers, budget, 32, 1200, 20};
      size_t total = 0, last = 1u << 30;
      for (size_t l = 0; l < layers; ++l) {
        const size_t tokens = pyramid_budget(shape, PyramidRule::kExact, l);
        EXPECT_LE(tokens, last + 1);  // rounding
        EXPECT_LE(tokens, shape.prompt);
        last = tokens;
        total += tokens;
      }
      EXPECT_EQ(total, layers * budget) << layers << " layers of " << budget;
    }
  }
}

TEST(Pyramid, BetaOneIsEven) {
  const PyramidShape shape{16, 300, 32, 2048, 1};
  for (size_t l = 0; l < 16; ++l) EXPECT_EQ(pyramid_budget(shape, PyramidRule::kExact, l), 300u);
}

}  // namespace
}  // namespace fathom::kv
