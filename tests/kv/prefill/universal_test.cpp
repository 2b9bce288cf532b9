// What holds for every prefill method there is, and will be: the registry is walked.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <string>

#include "kv/replay/attend_lists.h"
#include "kv/replay/bundle_index.h"
#include "support/made_head.h"
#include "support/prefill_lists.h"

namespace fathom::kv {
namespace {

using test::MadeHead;

// Budgets that leave out most of a head of two thousand tokens, and that forced keys do not fill. A
// method that is not named here is run with its defaults.
const std::map<std::string, std::string, std::less<>> kLean = {
    {"a_shape", "sinks=4,window=100"},
    {"tri_shape", "sinks=4,window=100,last=64"},
    {"xattention", "threshold=0.3,block=64"},
    {"minference", "vertical=40,slash=120"},
    {"flexprefill", "gamma=0.2,min_budget=256"},
    {"anchor", "theta=1,step=2"},
    {"hip", "k=64,window=64"},
    {"hyper", "block=64,sample=64,min_len=64"},
    {"lserve", "sinks=4,window=100"},
    {"zipvl", "tau=0.3,probes=16"},
};
// Methods that do not look at keys cannot find one; a tree search may lose one without like
// neighbours at its first level (hip_test.cpp), and so may a sort (hyper_test.cpp).
const std::map<std::string, const char*, std::less<>> kBlind = {
    {"a_shape", "the same keys whatever they hold"},
    {"lserve", "streaming heads are blind"},
};
const std::map<std::string, const char*, std::less<>> kLosesIt = {
    {"hip", "looks for keys with like neighbours"},
    {"hyper", "a query finds a key that points its way only if both have the same place among all"},
};

class EveryPrefill : public testing::TestWithParam<const Method*> {
 protected:
  const MethodInfo& info() const { return GetParam()->info; }
  std::string name() const { return std::string(info().name); }
  std::unique_ptr<const PrefillPolicy> with(const std::string& parameters) const {
    return test::make_prefill(name() + "(" + parameters + ")");
  }
  std::unique_ptr<const PrefillPolicy> lean() const {
    const auto found = kLean.find(name());
    return with(found == kLean.end() ? "" : found->second);
  }
};

// Runs a policy on a chunk and gives, query by query, the keys that it lets a query see; samples,
// which stand for others, are left out.
struct Selected {
  Selected(const PrefillPolicy& policy, const MadeHead& head, size_t first, size_t end,
           int32_t window = 0)
      : block(policy.query_block()), first_block(first / block) {
    PrefillView view = head.chunk(first, end);
    view.head.window = window;
    lists = test::run_select(policy, view);
    blocks = lists.size() / head.group;
    policy.bundle(view, bundles);
    exact = bundles;
    for (Sample& sample : exact.samples) sample.keys.clear();
    for (auto& round : exact.rounds) {
      for (Bundle& bundle : round) bundle.seen.clear();
    }
    index.emplace(exact);
  }
  Selected(const Selected&) = delete;
  Selected& operator=(const Selected&) = delete;
  const RowList& list(size_t query, size_t group_head) const {
    return lists[group_head * blocks + query / block - first_block];
  }
  std::vector<int32_t> keys(size_t query, size_t group_head) const {
    std::vector<int32_t> out;
    visible_keys(list(query, group_head), query, out);
    std::vector<float> counts;
    index->append(group_head, query, out, counts);
    std::sort(out.begin(), out.end());
    return out;
  }
  size_t block, first_block, blocks;
  std::vector<RowList> lists;
  Bundles bundles, exact;  // `exact`: without what was sampled
  std::optional<BundleIndex> index;
};

struct Span {
  size_t first, end;
};
// Prompts of every raggedness, and chunks that begin and end inside a block.
constexpr Span kSpans[] = {{0, 1},     {0, 63},      {0, 64},    {0, 65},    {0, 127},
                           {0, 128},   {0, 129},     {0, 255},   {0, 257},   {1, 2},
                           {63, 65},   {64, 65},     {100, 300}, {127, 700}, {129, 1000},
                           {640, 641}, {1999, 2000}, {960, 2000}};

void check_well_formed(const RowList& list, size_t tokens) {
  ASSERT_FALSE(list.pieces.empty() && list.columns.empty());
  for (size_t i = 0; i < list.pieces.size(); ++i) {
    ASSERT_GE(list.pieces[i], i == 0 ? 0 : list.pieces[i - 1] + int32_t{kPieceTokens});
    ASSERT_LT(static_cast<size_t>(list.pieces[i]), tokens);
  }
  size_t piece = 0;
  for (size_t i = 0; i < list.columns.size(); ++i) {
    const int32_t key = list.columns[i];
    ASSERT_GT(key, i == 0 ? -1 : list.columns[i - 1]);
    ASSERT_LT(static_cast<size_t>(key), tokens);
    while (piece < list.pieces.size() && list.pieces[piece] + int32_t{kPieceTokens} <= key) ++piece;
    ASSERT_TRUE(piece == list.pieces.size() || key < list.pieces[piece]);
  }
}

// What bundles name is there, and every key of one comes before every query of it; a row is in one
// bundle of a round.
void check_bundles(const Bundles& bundles, const MadeHead& head, size_t first, size_t end) {
  for (const auto& round : bundles.rounds) {
    std::vector<uint8_t> taken(end * head.group);
    for (const Bundle& bundle : round) {
      ASSERT_FALSE(bundle.rows.empty());
      size_t earliest = end;
      for (const Bundle::Row& row : bundle.rows) {
        ASSERT_LT(row.head, head.group);
        ASSERT_GE(row.query, first);
        ASSERT_LT(row.query, end);
        ASSERT_EQ(taken[row.query * head.group + row.head]++, 0);
        earliest = std::min<size_t>(earliest, row.query);
      }
      ASSERT_LT(bundle.sample, bundles.samples.size());
      const std::vector<int32_t>& sample = bundles.samples[bundle.sample].keys;
      ASSERT_TRUE(std::is_sorted(sample.begin(), sample.end()));
      ASSERT_EQ(bundle.seen.size(), (sample.size() + 63) / 64);
      for (const std::vector<int32_t>* keys : {&bundle.keys, &sample}) {
        if (keys->empty()) continue;
        ASSERT_GE(keys->front(), 0);
        ASSERT_LT(static_cast<size_t>(keys->back()), earliest);
      }
      ASSERT_EQ(std::adjacent_find(bundle.keys.begin(), bundle.keys.end(), std::greater_equal<>()),
                bundle.keys.end());
    }
  }
}

// U5, and what the kernel relies on: lists are ascending, in bounds and without repetition, and
// every query sees key 0 and itself.
TEST_P(EveryPrefill, ListsAreWellFormedAtEveryEnd) {
  const MadeHead head(2000, 1);
  for (const bool default_budget : {false, true}) {
    const auto policy = default_budget ? with("") : lean();
    ASSERT_EQ(policy->query_block() % kPieceTokens, 0u);
    for (const Span& span : kSpans) {
      SCOPED_TRACE(std::to_string(span.first) + ".." + std::to_string(span.end));
      const Selected selected(*policy, head, span.first, span.end);
      for (const RowList& list : selected.lists) check_well_formed(list, span.end);
      check_bundles(selected.bundles, head, span.first, span.end);
      for (size_t i = span.first; i < span.end; ++i) {
        for (size_t h = 0; h < head.group; ++h) {
          const auto keys = selected.keys(i, h);
          ASSERT_FALSE(keys.empty()) << i;
          ASSERT_EQ(keys.front(), 0) << i;
          ASSERT_EQ(static_cast<size_t>(keys.back()), i);
          ASSERT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end()) << "twice";
        }
      }
    }
  }
}

// U1: a budget that covers everything gives the dense result, bit for bit.
TEST_P(EveryPrefill, FullBudgetIsDense) {
  ASSERT_FALSE(info().exact.empty()) << "say in MethodInfo::exact how nothing is left out";
  const auto policy = with(std::string(info().exact));
  const MadeHead head(2000, 2);
  std::vector<int32_t> all(2000);
  std::iota(all.begin(), all.end(), 0);
  std::vector<float> got(head.head_dim), want(head.head_dim);
  for (const Span& span : kSpans) {
    const Selected selected(*policy, head, span.first, span.end);
    for (size_t i = span.first; i < span.end; ++i) {
      const std::span dense = std::span(all).first(i + 1);
      for (size_t h = 0; h < head.group; ++h) {
        const auto keys = selected.keys(i, h);
        ASSERT_TRUE(std::equal(keys.begin(), keys.end(), dense.begin(), dense.end())) << i;
        if (i % 97 != 0) continue;
        const double lse = attend_keys(head.head(span.end), head.query(i, h), keys, got.data());
        EXPECT_EQ(lse, attend_keys(head.head(span.end), head.query(i, h), dense, want.data()));
        EXPECT_EQ(got, want);
      }
    }
  }
}

// U2: with the lists held, later keys and values change nothing.
TEST_P(EveryPrefill, LaterTokensChangeNothing) {
  MadeHead head(1000, 3);
  const Selected selected(*lean(), head, 0, 1000);
  std::vector<float> before(head.head_dim), after(head.head_dim);
  for (const size_t i : {0, 63, 64, 500, 998}) {
    for (size_t h = 0; h < head.group; ++h) {
      const auto keys = selected.keys(i, h);
      const double lse = attend_keys(head.head(1000), head.query(i, h), keys, before.data());
      MadeHead changed = head;
      for (size_t c = (i + 1) * head.head_dim; c < changed.k.size(); ++c) {
        changed.k[c] += 7;
        changed.v[c] -= 7;
      }
      EXPECT_EQ(lse, attend_keys(changed.head(1000), head.query(i, h), keys, after.data()));
      EXPECT_EQ(before, after);
    }
  }
}

// U3: what is left out has mass delta, so an output moves by at most 2 delta max |v|: it is a mean
// of values over the kept keys in place of (1 - delta) of that mean and delta of another. Outputs
// are rounded to f32 once, which moves each by at most 2^-24 max |v|; delta comes from a difference
// of two f64 sums, good to 1e-12.
TEST_P(EveryPrefill, ErrorIsBoundByTheMassLeftOut) {
  const MadeHead head(2000, 4);
  float most = 0;
  for (const float v : head.v) most = std::max(most, std::fabs(v));
  std::vector<int32_t> all(2000);
  std::iota(all.begin(), all.end(), 0);
  std::vector<float> got(head.head_dim), want(head.head_dim);
  const Selected selected(*lean(), head, 0, 2000);
  for (size_t i = 0; i < 2000; i += 37) {
    for (size_t h = 0; h < head.group; ++h) {
      const double kept =
          attend_keys(head.head(2000), head.query(i, h), selected.keys(i, h), got.data());
      const double whole =
          attend_keys(head.head(2000), head.query(i, h), std::span(all).first(i + 1), want.data());
      const double delta = 1 - std::exp(kept - whole);
      ASSERT_GE(delta, -1e-12) << "keys were counted twice";
      for (size_t c = 0; c < head.head_dim; ++c) {
        ASSERT_LE(std::fabs(double{got[c]} - want[c]), 2 * delta * most + 2.5e-7 * most) << i;
      }
    }
  }
}

// U4: a key that most of the attention goes to is among those read by the last queries.
TEST_P(EveryPrefill, NeedleIsFound) {
  if (const auto known = kLosesIt.find(name()); known != kLosesIt.end()) {
    GTEST_SKIP() << known->second;
  }
  MadeHead head(2000, 5);
  constexpr int32_t kNeedle = 777;
  head.plant(kNeedle, 20.0f);  // score 80 / sqrt(32), against logits of deviation 1
  std::vector<int32_t> all(2000);
  std::iota(all.begin(), all.end(), 0);
  std::vector<float> out(head.head_dim);
  const int32_t needle[] = {kNeedle};
  const double one = attend_keys(head.head(2000), head.query(1999, 0), needle, out.data());
  ASSERT_GT(std::exp(one - attend_keys(head.head(2000), head.query(1999, 0), all, out.data())),
            0.5);
  const Selected selected(*lean(), head, 0, 2000);
  const bool blind = kBlind.contains(name());
  for (size_t i = 1984; i < 2000; ++i) {
    for (size_t h = 0; h < head.group; ++h) {
      const auto keys = selected.keys(i, h);
      EXPECT_EQ(std::binary_search(keys.begin(), keys.end(), kNeedle), !blind) << i << " " << h;
    }
  }
  EXPECT_LT(selected.keys(1600, 0).size(), 1601u) << "a budget this lean leaves keys out";
}

// In a layer with a window, what no query of the chunk sees has no say in what they read.
TEST_P(EveryPrefill, KeysBehindTheWindowDecideNothing) {
  const MadeHead head(2000, 8);
  constexpr size_t kFirst = 1536, kSeen = 1024;
  constexpr int32_t kWindow = kFirst - kSeen + 1;
  MadeHead loud = head;
  for (size_t i = 0; i < kSeen * head.head_dim; ++i) {  // what many queries look for
    loud.k[i] = 10 * head.q[(2000 - kSeen) * head.group * head.head_dim + i];
  }
  const auto policy = lean();
  const Selected selected(*policy, head, kFirst, 2000, kWindow);
  const Selected behind(*policy, loud, kFirst, 2000, kWindow);
  for (size_t i = kFirst; i < 2000; ++i) {
    for (size_t h = 0; h < head.group; ++h) {
      const auto seen = [&](const Selected& s) {
        std::vector<int32_t> keys = s.keys(i, h);
        std::erase_if(keys, [](int32_t key) { return key < static_cast<int32_t>(kSeen); });
        return keys;
      };
      ASSERT_EQ(seen(selected), seen(behind)) << i;
      ASSERT_EQ(seen(selected).back(), static_cast<int32_t>(i));
    }
  }
}

// U1 in such a layer: whatever a query sees is read.
TEST_P(EveryPrefill, FullBudgetHoldsTheWindow) {
  const auto policy = with(std::string(info().exact));
  const MadeHead head(2000, 2);
  for (const int32_t window : {1, 63, 64, 200, 1000, 5000}) {
    for (const Span& span : kSpans) {
      const Selected selected(*policy, head, span.first, span.end, window);
      for (size_t i = span.first; i < span.end; i += 7) {
        const auto keys = selected.keys(i, 0);
        const int32_t last = static_cast<int32_t>(i), oldest = std::max(0, last - window + 1);
        const auto from = std::lower_bound(keys.begin(), keys.end(), oldest);
        ASSERT_EQ(keys.end() - from, last - oldest + 1) << i << " with " << window;
        ASSERT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end()) << "twice";
      }
    }
  }
}

// Deciding twice is deciding the same; policies have no memory.
TEST_P(EveryPrefill, DecisionsAreRepeatable) {
  const MadeHead head(1500, 6);
  const auto policy = lean();
  const Selected once(*policy, head, 0, 1500), again(*policy, head, 0, 1500);
  ASSERT_EQ(once.lists.size(), again.lists.size());
  for (size_t i = 0; i < once.lists.size(); ++i) {
    EXPECT_EQ(once.lists[i].pieces, again.lists[i].pieces);
    EXPECT_EQ(once.lists[i].columns, again.lists[i].columns);
  }
}

// Numbers that are none must not lead anywhere but to a list.
TEST_P(EveryPrefill, NotANumberDoesNoHarm) {
  MadeHead head(1000, 7);
  for (size_t i = 0; i < head.k.size(); i += 331) head.k[i] = std::nanf("");
  for (size_t i = 0; i < head.q.size(); i += 977) head.q[i] = std::nanf("");
  const Selected selected(*lean(), head, 0, 1000);
  for (const RowList& list : selected.lists) check_well_formed(list, 1000);
  check_bundles(selected.bundles, head, 0, 1000);
}

std::vector<const Method*> prefill_methods() {
  std::vector<const Method*> methods;
  for (const Method& m : all_methods()) {
    if (m.prefill && m.prefill(Parameters(m.info, {}, "test"))) {
      methods.push_back(&m);
    }
  }
  return methods;
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryPrefill, testing::ValuesIn(prefill_methods()),
                         [](const auto& param) { return std::string(param.param->info.name); });

}  // namespace
}  // namespace fathom::kv
