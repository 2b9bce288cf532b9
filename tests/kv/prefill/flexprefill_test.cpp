#include "kv/prefill/flexprefill.h"

#include <gtest/gtest.h>

#include "support/method_reference.h"
#include "support/prefill_lists.h"

namespace fathom::kv {
namespace {

TEST(FlexPrefill, DecidesAsTheRepository) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Recording& r = test::recorded_layer();
  const auto divergence = test::expected_floats("flexprefill.divergence");
  const auto columns = test::expected_integers("flexprefill.n_vertical");
  const auto diagonals = test::expected_integers("flexprefill.n_slash");
  for (size_t head = 0; head < r.heads(); ++head) {
    const auto choice = flexprefill_choice(test::chunk_of(r, head / 2, 0, 2048), head % 2, {});
    EXPECT_NEAR(choice.divergence, divergence[head], 1e-4);
    EXPECT_EQ(int64_t(choice.columns), columns[head]) << head;
    EXPECT_EQ(int64_t(choice.diagonals), diagonals[head]) << head;
  }
}

// tau 0.1 takes columns and diagonals for all heads, tau 0.35 means of blocks for all but one.
TEST(FlexPrefill, MasksAreThoseOfTheRepository) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  for (const std::string tau : {"0.1", "0.35"}) {
    const auto policy = test::make_prefill("flexprefill(tau=" + tau + ")");
    const auto mask = test::expected_integers("flexprefill.tau" + tau + ".mask");
    EXPECT_EQ(test::count_mask_differences(test::recorded_layer(), *policy, 2048, mask), 0u) << tau;
  }
}

}  // namespace
}  // namespace fathom::kv
