// What a replay does beyond dropping tokens: first tokens that move, a token that stands for
// dropped ones, and stores that look at attention before they encode.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "kv/replay/attend_lists.h"
#include "kv/replay/replay.h"
#include "support/decisions.h"
#include "support/temp_dir.h"

namespace fathom::kv {
namespace {

using namespace fathom::test;  // NOLINT

constexpr size_t kPrompt = 2048, kSteps = 8, kHeads = 8, kKvHeads = 4, kDim = 32;

struct Replayed {
  Policy policy;
  ThreadPool pool{2};
  Replay replay;
  explicit Replayed(const std::string& line)
      : policy(make_policy(parse_policy(line), kernel::KvFormat::kF16)),
        replay(recorded_layer(), policy, pool) {
    run_replay(replay);
  }
  template <class T>
  const std::vector<T>& tensor(std::string_view name) const {
    for (const ReplayTensor& t : replay.tensors) {
      if (t.name == name) return std::get<std::vector<T>>(t.values);
    }
    throw std::runtime_error("no tensor " + std::string(name));
  }
  std::span<const float> prompt() const { return std::span(replay.out).first(kPrompt * 8 * kDim); }
  std::span<const float> steps() const {
    return std::span(replay.out).subspan(kPrompt * kHeads * kDim);
  }
};

double furthest(std::span<const float> a, std::span<const float> b) {
  double most = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    most = std::max(most, std::fabs(double{a[i]} - b[i]));
  }
  return most;
}

// The authors' positions are cache slots.
TEST(ReplayKeep, FirstTokensMoveAsTheAuthors) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const std::string line = "store=f32 keep=streaming(sinks=4,recent=252,positions=";
  const auto want = expected_floats("streaming_llm.decode_out");
  EXPECT_LT(furthest(Replayed(line + "slots)").steps(), want), 1e-3);
  EXPECT_GT(furthest(Replayed(line + "text)").steps(), want), 1e-2);
}

TEST(ReplayKeep, WhatIsWholeDoesNotMove) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Replayed moved("store=f32 keep=streaming(sinks=4,recent=3000,positions=slots)");
  EXPECT_EQ(moved.replay.out, Replayed("store=f32").replay.out);
}

// The mean of the tokens of a kv head that are not among `kept`, and how many these are.
ExtraToken mean_of_dropped(size_t kv_head, size_t tokens, const std::set<int32_t>& kept) {
  const HeadView head = recorded_layer().head(kv_head, tokens);
  std::vector<double> k(kDim), v(kDim);
  ExtraToken out{std::vector<float>(kDim), std::vector<float>(kDim), 0};
  for (size_t t = 0; t < tokens; ++t) {
    if (kept.contains(static_cast<int32_t>(t))) continue;
    for (size_t c = 0; c < kDim; ++c) k[c] += head.key(t)[c], v[c] += head.value(t)[c];
    ++out.count;
  }
  for (size_t c = 0; c < kDim && out.count > 0; ++c) {
    out.k[c] = static_cast<float>(k[c] / out.count),
    out.v[c] = static_cast<float>(v[c] / out.count);
  }
  return out;
}

// Attention over the kept tokens, and as many copies of the extra token as it stands for.
std::vector<float> attend_with(const ExtraToken& extra, size_t head, size_t token,
                               const std::set<int32_t>& kept) {
  const Recording& r = recorded_layer();
  HeadView view = r.head(head / 2, token + 1);
  std::vector<float> k(view.k, view.k + (token + 1) * kDim), v(view.v, view.v + (token + 1) * kDim);
  std::vector<int32_t> keys(kept.begin(), kept.end());
  keys.push_back(static_cast<int32_t>(token));
  std::vector<float> counts(keys.size(), 1.0f), out(kDim);
  if (extra.count > 0) {
    k.insert(k.end(), extra.k.begin(), extra.k.end());
    v.insert(v.end(), extra.v.begin(), extra.v.end());
    keys.push_back(static_cast<int32_t>(token + 1));
    counts.push_back(static_cast<float>(extra.count));
  }
  view.k = k.data(), view.v = v.data();
  attend_keys(view, r.queries(head / 2, token, 1).row(0, head % 2, kDim), keys, out.data(), counts);
  return out;
}

TEST(ReplayKeep, ATokenStandsForWhatRazorDropped) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const TempDir dir;
  std::string table;
  for (size_t layer = 0; layer <= recorded_layer().layer(); ++layer) table += "0\t1\t0\t0\n";
  write_file(dir.file("heads.tsv"), table);
  const Replayed run("store=f32 keep=razor(sinks=4,recent=100,share=0,sparsity=0.75,heads=" +
                     dir.file("heads.tsv") + ")");
  const auto& kept = run.tensor<int32_t>("kept_positions");
  const auto& counts = run.tensor<float>("extra_counts");
  const size_t most = kept.size() / ((kSteps + 1) * kKvHeads);
  for (size_t step = 0; step < kSteps; ++step) {
    const size_t token = kPrompt + step;
    for (size_t head = 0; head < kHeads; ++head) {
      const size_t at = step * kKvHeads + head / 2;
      const auto row = kept.begin() + static_cast<ptrdiff_t>(at * most);
      std::set<int32_t> left(row, row + static_cast<ptrdiff_t>(most));
      left.erase(-1);
      const ExtraToken extra = mean_of_dropped(head / 2, token, left);
      ASSERT_EQ(counts[at], static_cast<float>(extra.count));
      EXPECT_EQ(extra.count > 0, head / 2 != 1) << "the second kv head retrieves";
      const auto want = attend_with(extra, head, token, left);
      const auto got = run.steps().subspan((step * kHeads + head) * kDim, kDim);
      EXPECT_LT(furthest(got, want), 2e-5) << "step " << step << " head " << head;
    }
  }
}

// With the mass at its ends, all pages are of one codec but the first; that is what the codec alone
// gives. The prompt itself is read as it was.
TEST(ReplayStore, ZipVlChoosesWhenThePromptIsRead) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Replayed plain("store=auto"), all("store=zipvl(mass=1)"), none("store=zipvl(mass=0)"),
      some("store=zipvl(mass=0.9)");
  const Replayed high("store=k4v4"), low("store=k2v2");
  EXPECT_EQ(furthest(all.prompt(), plain.prompt()), 0);
  EXPECT_GT(furthest(high.prompt(), plain.prompt()), 0);
  EXPECT_EQ(all.tensor<float>("k_decoded"), high.tensor<float>("k_decoded"));
  EXPECT_EQ(furthest(all.steps(), high.steps()), 0);
  const auto &k = none.tensor<float>("k_decoded"), &k_high = high.tensor<float>("k_decoded"),
             &k_low = low.tensor<float>("k_decoded");
  constexpr size_t kPage = 64 * kKvHeads * kDim;
  ASSERT_EQ(k.size(), 32 * kPage);
  EXPECT_TRUE(std::equal(k.begin(), k.begin() + kPage, k_high.begin()));
  EXPECT_TRUE(std::equal(k.begin() + kPage, k.end(), k_low.begin() + kPage));
  const auto& bytes = some.tensor<int32_t>("store_bytes");
  ASSERT_EQ(bytes.size(), kKvHeads * 32);
  const std::set<int32_t> kinds(bytes.begin(), bytes.end());
  EXPECT_EQ(kinds.size(), 3u) << "plain, important and other pages";
  EXPECT_GT(compare_with_dense(none.replay).decode, compare_with_dense(some.replay).decode);
}

// What KEEP left is what is encoded, in its own pages.
TEST(ReplayStore, ZipVlEncodesWhatKeepLeft) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Replayed run("keep=snapkv(budget=256) store=zipvl(mass=1)");
  EXPECT_EQ(run.tensor<int32_t>("store_bytes").size(), kKvHeads * 4);
  const Replayed plain("keep=snapkv(budget=256) store=auto");
  const auto &kept = run.tensor<int32_t>("kept_positions"),
             &same = plain.tensor<int32_t>("kept_positions");
  EXPECT_EQ(kept, same);
  const auto &k = run.tensor<float>("k_decoded"), &was = plain.tensor<float>("k_decoded");
  for (size_t h = 0; h < kKvHeads; ++h) {
    const auto row = kept.begin() + static_cast<ptrdiff_t>(h * (kept.size() / (9 * kKvHeads)));
    size_t moved = 0;
    for (size_t t = 0; t < kPrompt; ++t) {
      const auto at = static_cast<ptrdiff_t>((t * kKvHeads + h) * kDim);
      const bool changed = !std::equal(k.begin() + at, k.begin() + at + kDim, was.begin() + at);
      moved += changed;
      const auto place = std::find(row, row + 256, static_cast<int32_t>(t)) - row;
      EXPECT_EQ(changed, place < 192) << t;  // the last page is the tail
    }
    EXPECT_EQ(moved, 192u);
  }
}

TEST(ReplayStore, ThinkLeavesChannelsOut) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Replayed run("store=think(share=0.5)");
  const auto& k = run.tensor<float>("k_decoded");
  for (size_t t = 0; t < kPrompt - 64; t += 13) {
    for (size_t h = 0; h < kKvHeads; ++h) {
      const auto row = k.begin() + static_cast<ptrdiff_t>((t * kKvHeads + h) * kDim);
      EXPECT_EQ(std::count(row, row + kDim, 0.0f), 16) << t;
    }
  }
  EXPECT_LT(compare_with_dense(run.replay).prompt, 1e-3);
  EXPECT_GT(compare_with_dense(run.replay).decode, 1e-3);
}

}  // namespace
}  // namespace fathom::kv
