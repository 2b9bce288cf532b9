#include "kv/keep/scissorhands.h"

#include "kv/keep/reference.h"

namespace fathom::kv::test {
namespace {

// Two queries of one dimension: token 1 is above average for both, 3 for one, the rest for none.
TEST(Scissorhands, CountsQueriesBelowAverage) {
  std::vector<float> k{0, 5, 0, 0}, v(4), q{1, 1};
  k[3] = 5;
  HeadView head;
  head.head_dim = 1, head.k = k.data(), head.v = v.data(), head.tokens = 4;
  QueryView queries;
  queries.tokens = 2, queries.first = 2, queries.stride = 1, queries.q = q.data();
  const KeepView view{.layers = 1, .prompt = 4, .heads = {&head, 1}, .queries = {&queries, 1}};
  const auto scores = scores_of(*scissorhands_scorer(2), view, {});
  const std::vector<float> want{-2, 0.125f, -2 + 0.25f, 0.375f};  // the second query alone sees 3
  expect_close(scores[0], want, {0, 1e-6}, "score");
}

TEST(Scissorhands, DropsInBulk) {
  const auto keep = make_scissorhands(
      Parameters(scissorhands_info(),
                 {{"budget", "8"}, {"window", "1"}, {"sinks", "1"}, {"recent", "2"}}, "test"));
  std::vector<float> k(9), v(9), q{1};
  HeadView head;
  head.head_dim = 1, head.k = k.data(), head.v = v.data(), head.tokens = 8;
  QueryView query;
  query.tokens = 1, query.first = 8, query.stride = 1, query.q = q.data();
  std::vector<std::vector<int32_t>> kept(1);
  const KeepView view{.layers = 1, .prompt = 8, .heads = {&head, 1}, .queries = {&query, 1}};
  keep->select(view, kept);
  EXPECT_EQ(kept[0].size(), 8u);
  head.tokens = 9;
  keep->select(view, kept);
  EXPECT_EQ(kept[0].size(), 4u);
}

}  // namespace
}  // namespace fathom::kv::test
