#include "kv/keep/sirllm.h"

#include "kv/keep/reference.h"

namespace fathom::kv::test {
namespace {

TEST(SirLlm, KeepsSinksRecentAndTheMostSurprising) {
  const std::vector<float> surprise{0, 1, 9, 1, 8, 1, 0, 0};
  const TextView text{surprise, {}};
  std::vector<float> k(8), v(8);
  HeadView head;
  head.head_dim = 1, head.k = k.data(), head.v = v.data(), head.tokens = 8, head.text = &text;
  const auto keep = make_sirllm(
      Parameters(sirllm_info(), {{"budget", "5"}, {"sinks", "1"}, {"recent", "2"}}, "test"));
  EXPECT_TRUE(keep->needs().surprise);
  std::vector<std::vector<int32_t>> kept(1);
  keep->select({.layers = 1, .prompt = 8, .heads = {&head, 1}}, kept);
  EXPECT_EQ(kept[0], (std::vector<int32_t>{0, 2, 4, 6, 7}));
}

}  // namespace
}  // namespace fathom::kv::test
