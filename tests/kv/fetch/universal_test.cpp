// What every FETCH method must do, over the whole registry.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "kv/attention_rows.h"
#include "kv/fetch/runs.h"
#include "kv/registry.h"
#include "kv/replay/fetch_layer.h"
#include "support/decisions.h"
#include "support/kv_layer.h"

namespace fathom::kv {
namespace {

using test::RandomLayer;
constexpr size_t kHeads = 2, kSteps = 3;
using Choice = std::vector<std::vector<Runs>>;  // [kv heads][lists]

class EachFetch : public ::testing::TestWithParam<const Method*> {
 protected:
  // Small enough for texts of a few hundred tokens; `cover`: large enough for all of them.
  std::unique_ptr<const FetchPolicy> make(bool cover) const {
    static const std::map<std::string, std::string> kSmall = {
        {"budget", "256"},  {"local", "64"},      {"init", "16"},  {"block", "16"},
        {"blocks", "4"},    {"chunk", "16"},      {"most", "16"},  {"least", "4"},
        {"observed", "32"}, {"interval", "1000"}, {"tokens", "32"}};
    std::map<std::string, std::string> typed;
    for (const ParameterInfo& p : GetParam()->info.parameters) {
      const auto small = kSmall.find(std::string(p.name));
      if (small != kSmall.end()) typed[small->first] = small->second;
      if (cover && (p.name == "budget" || p.name == "local")) typed[std::string(p.name)] = "8192";
    }
    return GetParam()->fetch(Parameters(GetParam()->info, typed, "test"));
  }
  // The most keys that a step with these parameters may read.
  size_t limit() const {
    std::map<std::string_view, size_t> value;
    for (const ParameterInfo& p : GetParam()->info.parameters) {
      if (p.choices.empty()) value[p.name] = size_t(std::stod(std::string(p.value)));
    }
    const size_t window = value.count("local") ? 64 + 16 + 2 * 16 : 0;
    return (value.count("budget") ? 256 : 4 * 16) + window + 1;
  }
};

// Reads `prompt` tokens, `chunk` at a time, then decides kSteps steps.
std::vector<Choice> decide(const FetchPolicy& policy, const RandomLayer& layer, size_t prompt,
                           size_t chunk) {
  FetchLayer fetch(policy, kHeads);
  std::vector<HeadView> heads(kHeads);
  std::vector<QueryView> queries(kHeads);
  const auto look = [&](size_t first, size_t tokens) {
    for (size_t h = 0; h < kHeads; ++h) {
      heads[h] = layer.head(h, tokens);
      queries[h] = layer.queries(h, first, tokens - first);
    }
  };
  const size_t observed = policy.needs().observed;
  size_t shown = 0;
  for (size_t tokens = 0; tokens < prompt;) {
    tokens = std::min(prompt, tokens + chunk);
    for (size_t h = 0; h < kHeads; ++h) fetch.index(h).update(layer.head(h, tokens));
    while (observed > 0 && shown < tokens && (tokens == prompt || tokens - shown >= observed)) {
      const size_t end = std::min(shown + observed, tokens);
      look(shown, end);
      for (size_t h = 0; h < kHeads; ++h) heads[h] = layer.head(h, end);
      fetch.read_prompt(heads, queries);
      shown = end;
    }
  }
  std::vector<Choice> out;
  for (size_t s = 0; s < kSteps; ++s) {
    look(prompt + s, prompt + s + 1);
    out.push_back(fetch.step(heads, queries));
  }
  return out;
}

void expect_runs(const Runs& runs, size_t tokens) {
  int32_t end = -1;
  for (const kv::Run& r : runs) {
    ASSERT_GT(r.first, end);
    ASSERT_GT(r.end, r.first);
    end = r.end;
  }
  ASSERT_LE(size_t(end), tokens);
  ASSERT_EQ(size_t(end), tokens) << "a query reads its own key";
}

TEST_P(EachFetch, RunsAreAscendingApartAndInside) {
  const auto policy = make(false);
  if (!policy) return;
  for (const size_t prompt : {1u, 2u, 15u, 16u, 63u, 64u, 65u, 300u, 500u}) {
    const RandomLayer layer(prompt + kSteps, kHeads, uint32_t(prompt));
    const auto steps = decide(*policy, layer, prompt, 64);
    for (size_t s = 0; s < kSteps; ++s) {
      for (const auto& head : steps[s]) {
        for (const Runs& runs : head) expect_runs(runs, prompt + s + 1);
      }
    }
  }
}

// T1.
TEST_P(EachFetch, ABudgetThatCoversEverythingReadsEverything) {
  const auto policy = make(true);
  if (!policy) return;
  for (const size_t prompt : {1u, 63u, 64u, 65u, 333u}) {
    const RandomLayer layer(prompt + kSteps, kHeads, 5);
    const auto steps = decide(*policy, layer, prompt, 64);
    for (size_t s = 0; s < kSteps; ++s) {
      for (const auto& head : steps[s]) {
        for (const Runs& runs : head) EXPECT_EQ(runs, all_of(prompt + s + 1));
      }
    }
  }
}

// Steps after the first, which some methods use to look at everything.
TEST_P(EachFetch, BudgetsAreNotExceeded) {
  const auto policy = make(false);
  if (!policy) return;
  const RandomLayer layer(640 + kSteps, kHeads, 8);
  const auto steps = decide(*policy, layer, 640, 640);
  for (size_t s = 1; s < kSteps; ++s) {
    for (const auto& head : steps[s]) {
      for (const Runs& runs : head) EXPECT_LE(keys_read(runs), limit());
    }
  }
}

// T2.
TEST_P(EachFetch, ANeedleIsReadAtAnyDepth) {
  const auto policy = make(false);
  if (!policy) return;
  for (const size_t percent : {5u, 25u, 50u, 75u, 95u}) {
    RandomLayer layer(640 + kSteps, kHeads, uint32_t(percent));
    const auto at = int32_t(640 * percent / 100);
    layer.plant(size_t(at), 8.0f);
    const auto steps = decide(*policy, layer, 640, 640);
    for (size_t s = 0; s < kSteps; ++s) {
      for (const auto& head : steps[s]) {
        for (const Runs& runs : head) {
          bool read = false;
          for (const kv::Run& r : runs) read |= r.first <= at && at < r.end;
          EXPECT_TRUE(read) << "needle at " << at << ", step " << s;
        }
      }
    }
  }
}

// T3.
TEST_P(EachFetch, DecisionsDoNotDependOnHowTheHeadGrew) {
  const auto policy = make(false);
  if (!policy) return;
  const RandomLayer layer(500 + kSteps, kHeads, 2);
  const auto want = decide(*policy, layer, 500, 500);
  for (const size_t chunk : {1u, 7u, 64u}) {
    EXPECT_EQ(decide(*policy, layer, 500, chunk), want) << "chunks of " << chunk;
  }
}

// A head of which only what reads() names is there: the rest is poison.
class Sparse {
 public:
  Sparse(const HeadView& head, const FetchReads& reads) : view_(head) {
    view_.k = copy(head.k, reads.k, 0);
    view_.k_unrotated = copy(head.k_unrotated, reads.k_unrotated, 1);
    view_.v = copy(head.v, reads.v, 2);
  }
  const HeadView& view() const { return view_; }

 private:
  const float* copy(const float* from, const Runs& runs, size_t which) {
    if (runs.empty()) return nullptr;
    const size_t d = view_.head_dim;
    rows_[which].assign(view_.tokens * d, std::nanf(""));
    for (const kv::Run& r : runs) {
      std::copy(from + size_t(r.first) * d, from + size_t(r.end) * d,
                rows_[which].begin() + std::ptrdiff_t(size_t(r.first) * d));
    }
    return rows_[which].data();
  }
  HeadView view_;
  std::vector<float> rows_[3];
};

TEST_P(EachFetch, LooksOnlyAtWhatItSays) {
  const auto policy = make(false);
  if (!policy) return;
  constexpr size_t kTokens = 420;
  const RandomLayer layer(kTokens, 1, 6);
  const FetchNeeds needs = policy->needs();
  const auto index = policy->make_index(), sparse = policy->make_index();
  const auto both = [&](FetchCall what, size_t tokens, const QueryView& q,
                        std::span<const float> agreed, auto call) {
    FetchReads reads;
    sparse->reads(what, tokens, q, agreed, reads);
    call(*index, layer.head(0, tokens));
    call(*sparse, Sparse(layer.head(0, tokens), reads).view());
  };
  std::vector<float> agreed, other;
  for (size_t at = 0; at < kTokens;) {
    const bool prompt = at < 300;
    const size_t n = prompt ? std::min<size_t>(std::max<size_t>(needs.observed, 1), 300 - at) : 1;
    const size_t end = at + n;
    const QueryView q = layer.queries(0, at, n);
    both(FetchCall::kUpdate, end, {}, {},
         [&](FetchIndex& i, const HeadView& head) { i.update(head); });
    agreed.clear(), other.clear();
    if (needs.joint) {
      index->rank(layer.head(0, end), q, agreed);
      sparse->rank(layer.head(0, end), q, other);
      ASSERT_EQ(agreed, other) << end;
    }
    if (!prompt) {
      std::vector<Runs> runs(needs.per_query_head ? RandomLayer::kGroup : 1), first;
      both(FetchCall::kSelect, end, q, agreed, [&](FetchIndex& i, const HeadView& head) {
        i.select(head, q, agreed, runs);
        if (first.empty()) first = runs;
      });
      ASSERT_EQ(runs, first) << end;
    }
    if (needs.observed > 0) {
      both(FetchCall::kObserve, end, q, agreed,
           [&](FetchIndex& i, const HeadView& head) { i.observe(head, q, agreed); });
    }
    at = end;
  }
}

// Two questions over one context, by going back: the second is as if it were the first (T4). Only
// for indices that see no queries: those of the first question leave traces in the others.
TEST_P(EachFetch, GoingBackForgetsTheFirstQuestion) {
  const auto policy = make(false);
  if (!policy || policy->needs().observed > 0) return;
  const RandomLayer layer(400, kHeads, 2), other(400, kHeads, 99);
  const auto index = policy->make_index(), fresh = policy->make_index();
  const size_t lists = policy->needs().per_query_head ? RandomLayer::kGroup : 1;
  std::vector<Runs> runs(lists), want(lists);
  for (const size_t n : {301u, 340u}) {
    index->update(layer.head(0, n));
    index->select(layer.head(0, n), other.queries(0, n - 1, 1), {}, runs);
  }
  index->update(layer.head(0, 300));
  for (const size_t n : {301u, 302u, 303u}) {
    index->update(layer.head(0, n)), fresh->update(layer.head(0, n));
    index->select(layer.head(0, n), layer.queries(0, n - 1, 1), {}, runs);
    fresh->select(layer.head(0, n), layer.queries(0, n - 1, 1), {}, want);
    EXPECT_EQ(runs, want) << n;
  }
}

TEST_P(EachFetch, BytesAreCountedAndSmall) {
  const auto policy = make(false);
  if (!policy) return;
  EXPECT_FALSE(GetParam()->info.paper.empty());
  const RandomLayer layer(640, 1, 1);
  const auto index = policy->make_index();
  index->update(layer.head(0));
  // The graph holds the keys, and more links and locks than these short keys have channels.
  const size_t times = GetParam()->info.name == "index" ? 7 : 1;
  EXPECT_LT(index->bytes(), times * 640 * RandomLayer::kHeadDim * sizeof(float));
}

// T5. Of a recorded layer's attention, what is read holds more than its share of the keys would,
// and no more than the best choice of as many keys.
TEST_P(EachFetch, CoversMoreAttentionThanItsShare) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto policy = make(false);
  if (!policy) return;
  const FetchNeeds needs = policy->needs();
  if (needs.sentences || needs.surprise)
    GTEST_SKIP() << "the recording holds neither sentences nor surprise, which this method needs";
  const Recording& r = test::recorded_layer();
  const auto rope = recorded_rope(r);
  FetchLayer fetch(*policy, r.kv_heads());
  std::vector<HeadView> heads(r.kv_heads());
  std::vector<QueryView> queries(r.kv_heads());
  const auto look = [&](size_t first, size_t end) {
    for (size_t h = 0; h < r.kv_heads(); ++h) {
      heads[h] = r.head(h, end);
      heads[h].rope = &rope->view;
      queries[h] = r.queries(h, first, end - first);
    }
  };
  for (size_t at = 0; at < r.prompt() && needs.observed > 0; at += needs.observed) {
    look(at, std::min(at + needs.observed, r.prompt()));
    fetch.read_prompt(heads, queries);
  }
  double covered = 0, best = 0, share = 0;
  for (size_t s = 0; s < r.steps(); ++s) {
    const size_t n = r.prompt() + s + 1;
    look(n - 1, n);
    const auto chosen = fetch.step(heads, queries);
    for (size_t h = 0; h < r.kv_heads() && s > 0; ++h) {  // the first step may read everything
      for_each_weights_row(heads[h], queries[h], [&](size_t g, size_t, std::span<const float> w) {
        const Runs& runs = chosen[h][g % chosen[h].size()];
        for (const kv::Run& run : runs) {
          for (int32_t t = run.first; t < run.end; ++t) covered += double(w[size_t(t)]);
        }
        for (const int32_t t : top_k(w, keys_read(runs))) best += double(w[size_t(t)]);
        share += double(keys_read(runs)) / double(n);
      });
    }
  }
  const double rows = double((r.steps() - 1) * r.heads());
  fmt::print("  {:<10} reads {:4.1f}% of the keys, {:.1f}% of the attention; at best {:.1f}%\n",
             GetParam()->info.name, 100 * share / rows, 100 * covered / rows, 100 * best / rows);
  EXPECT_GT(covered, share);
  EXPECT_LE(covered, best * (1 + 1e-6));
}

std::vector<const Method*> fetch_methods() {
  std::vector<const Method*> out;
  for (const Method& m : all_methods()) {
    if (m.info.stage == Stage::kFetch) out.push_back(&m);
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Registry, EachFetch, ::testing::ValuesIn(fetch_methods()),
                         [](const auto& p) { return std::string(p.param->info.name); });

}  // namespace
}  // namespace fathom::kv
