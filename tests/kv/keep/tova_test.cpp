#include "kv/keep/tova.h"

#include "kv/keep/reference.h"

namespace fathom::kv::test {
namespace {

TEST(Tova, DecidesAsKvpress) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto scorer = tova_scorer();
  const auto keep = make_tova(Parameters(tova_info(), {{"budget", "256"}}, "test"));
  expect_scored_as_reference({"tova", scorer.get(), keep.get(), {5e-5, 1e-7}, {0, 1}});
}

// Key t is t along one axis: the query prefers late tokens, so the earliest goes at every step.
TEST(Tova, EvictsTheLeastAttendedTokenAtEveryStep) {
  std::vector<float> k{9, 1, 2, 3, 4, 0}, v(6), q{1};
  HeadView head;
  head.head_dim = 1, head.k = k.data(), head.v = v.data(), head.tokens = 6;
  QueryView query;
  query.tokens = 1, query.first = 5, query.stride = 1, query.q = q.data();
  const auto keep = make_tova(Parameters(tova_info(), {{"budget", "4"}}, "test"));
  std::vector<std::vector<int32_t>> kept(1);
  keep->select({.layers = 1, .prompt = 6, .heads = {&head, 1}, .queries = {&query, 1}}, kept);
  EXPECT_EQ(kept[0], (std::vector<int32_t>{0, 3, 4, 5}));
}

}  // namespace
}  // namespace fathom::kv::test
