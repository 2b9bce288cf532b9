#include "kv/prefill/xattention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/method_reference.h"
#include "support/prefill_lists.h"

namespace fathom::kv {
namespace {

struct Case {
  const char* name;
  size_t tokens, block, stride;
};
constexpr Case kCases[] = {{"xattention.b128.s8", 2048, 128, 8},
                           {"xattention.b128.s16", 2048, 128, 16},
                           {"xattention.b64.s8", 2048, 64, 8},
                           {"xattention.b64.s16", 2048, 64, 16},
                           {"xattention.n2000.b64.s8", 2000, 64, 8}};

TEST(XAttention, SumsAreThoseOfTheRepository) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Recording& r = test::recorded_layer();
  for (const Case& c : kCases) {
    const auto want = test::expected_floats(std::string(c.name) + ".sums");
    const size_t n = (c.tokens + c.block - 1) / c.block;
    for (size_t head = 0; head < r.heads(); ++head) {
      const PrefillView view = test::chunk_of(r, head / r.group(), 0, c.tokens);
      const auto got = xattention_sums(view, head % r.group(), {c.block, c.stride, 0.9});
      ASSERT_EQ(got.size(), n * n);
      for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_NEAR(got[i], want[head * n * n + i], 1e-5) << c.name << " head " << head << " " << i;
      }
    }
  }
}

// The smallest margin of a threshold decision is 1.2e-4 of a row's total, ten times the scores'
// tolerance, so the masks must be equal.
TEST(XAttention, MasksAreThoseOfTheRepository) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Recording& r = test::recorded_layer();
  for (const Case& c : kCases) {
    const auto policy =
        test::make_prefill("xattention(threshold=0.9,block=" + std::to_string(c.block) +
                           ",stride=" + std::to_string(c.stride) + ")");
    const auto mask = test::expected_integers(std::string(c.name) + ".mask");
    EXPECT_EQ(test::count_mask_differences(r, *policy, c.tokens, mask), 0u) << c.name;
  }
}

TEST(XAttention, OutputsAreThoseOfTheRepository) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto policy = test::make_prefill("xattention(threshold=0.9,block=64,stride=8)");
  EXPECT_LE(test::worst_row_difference(test::recorded_layer(), *policy, "xattention.b64.s8"), 1e-5);
}

// A chunk that begins at a block decides as the whole prompt does: its sums are the same numbers.
TEST(XAttention, ChunksDecideAsTheWholePromptDoes) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Recording& r = test::recorded_layer();
  const auto policy = test::make_prefill("xattention(block=64)");
  const auto whole = test::run_select(*policy, test::chunk_of(r, 1, 0, 2048));
  const auto chunk = test::run_select(*policy, test::chunk_of(r, 1, 1024, 2048));
  ASSERT_EQ(whole.size(), 2 * chunk.size());
  for (size_t h = 0; h < 2; ++h) {
    for (size_t b = 0; b < 16; ++b) {
      EXPECT_EQ(chunk[h * 16 + b].pieces, whole[h * 32 + 16 + b].pieces);
    }
  }
}

}  // namespace
}  // namespace fathom::kv
