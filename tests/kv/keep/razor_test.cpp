#include "kv/keep/razor.h"

#include "kv/keep/reference.h"
#include "support/temp_dir.h"

namespace fathom::kv::test {
namespace {

std::unique_ptr<const KeepPolicy> razor(const std::string& table) {
  return make_razor(Parameters(
      razor_info(),
      {{"heads", table}, {"sparsity", "1"}, {"sinks", "1"}, {"recent", "2"}, {"share", "0"}},
      "test"));
}

// Dropped keys that are equal, whatever their values: one token of weight m is exact.
TEST(Razor, EqualDroppedKeysAreExact) {
  const TempDir dir;
  write_file(dir.file("heads.tsv"), "0\t1\n");
  const auto keep = razor(dir.file("heads.tsv"));
  std::vector<float> k{2, 1, -1, 3, -1, 3, -1, 3, 0, 1, 1, 1},
      v{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3};
  HeadView heads[2];
  for (size_t h = 0; h < 2; ++h) {
    heads[h].kv_head = h, heads[h].head_dim = 2, heads[h].tokens = 6;
    heads[h].k = k.data(), heads[h].v = v.data();
  }
  std::vector<std::vector<int32_t>> kept(2);
  keep->select({.layers = 1, .prompt = 6, .heads = heads}, kept);
  EXPECT_EQ(kept[0], (std::vector<int32_t>{0, 4, 5}));
  EXPECT_EQ(kept[1].size(), 6u);
  EXPECT_EQ(keep->fold(heads[1], kept[1]).count, 0u);

  const Folded folded = keep->fold(heads[0], kept[0]);
  ASSERT_EQ(folded.count, 3u);
  const float q[] = {0.5f, -0.25f};
  const auto want = attend(heads[0], q);
  // As many copies of the extra token as it stands for: what log(count) does to its logit.
  std::vector<float> k2, v2;
  for (const int32_t t : kept[0]) {
    for (size_t c = 0; c < 2; ++c) k2.push_back(heads[0].key(size_t(t))[c]);
    for (size_t c = 0; c < 2; ++c) v2.push_back(heads[0].value(size_t(t))[c]);
  }
  for (size_t i = 0; i < folded.count; ++i) {
    k2.insert(k2.end(), folded.extra_k.begin(), folded.extra_k.end());
    v2.insert(v2.end(), folded.extra_v.begin(), folded.extra_v.end());
  }
  HeadView small = heads[0];
  small.tokens = 6, small.k = k2.data(), small.v = v2.data();
  expect_close(attend(small, q), want, {1e-6, 1e-6}, "output");
}

}  // namespace
}  // namespace fathom::kv::test
