#include "kv/fetch/index.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kv/fetch/runs.h"
#include "kv/top_k.h"
#include "kv/vector.h"
#include "support/method_reference.h"

namespace fathom::kv {
namespace {

constexpr size_t kDim = 32, kTokens = 3000, kInit = 16, kLocal = 64, kGroup = 2;

// Keys around 40 centres, and queries that lean to one of them.
struct Clusters {
  std::vector<float> keys, queries;
  explicit Clusters(uint64_t seed, size_t query_count = 20) {
    std::mt19937_64 rng(seed);
    std::normal_distribution<float> normal;
    std::vector<float> centres(40 * kDim);
    for (float& x : centres) x = 2 * normal(rng);
    const auto near = [&](std::vector<float>& out) {
      const size_t centre = rng() % 40 * kDim;
      for (size_t c = 0; c < kDim; ++c) out.push_back(centres[centre + c] + normal(rng));
    };
    for (size_t t = 0; t < kTokens; ++t) near(keys);
    for (size_t i = 0; i < query_count * kGroup; ++i) near(queries);
  }
  HeadView head(size_t tokens = kTokens) const {
    HeadView out;
    out.head_dim = kDim;
    out.tokens = tokens;
    out.k = keys.data();
    return out;
  }
  QueryView query(size_t i) const {
    QueryView out;
    out.group = kGroup;
    out.tokens = 1;
    out.first = kTokens - 1;
    out.stride = kGroup * kDim;
    out.q = queries.data() + i * kGroup * kDim;
    return out;
  }
  // The best keys between the first and the last ones.
  std::vector<int32_t> best(size_t i, size_t g, size_t count) const {
    std::vector<float> scores;
    for (size_t t = kInit; t < kTokens - kLocal; ++t) {
      scores.push_back(dot(query(i).row(0, g, kDim), keys.data() + t * kDim, kDim));
    }
    std::vector<int32_t> out = top_k(scores, count);
    for (int32_t& t : out) t += int32_t(kInit);
    return out;
  }
};

std::unique_ptr<FetchIndex> make(std::map<std::string, std::string> typed) {
  typed.insert({{"init", "16"}, {"local", "64"}});
  return make_index_fetch(Parameters(index_info(), typed, "test"))->make_index();
}

Runs with_window(std::vector<int32_t> tokens) {
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  Runs out = {{0, kInit}};
  add_tokens(tokens, out);
  add_run(kTokens - kLocal, kTokens, out);
  return out;
}

std::vector<Runs> select(FetchIndex& index, const Clusters& c, size_t i, size_t lists) {
  std::vector<Runs> runs(lists);
  index.select(c.head(), c.query(i), {}, runs);
  return runs;
}

TEST(IndexFetch, ASearchOfEverythingIsExact) {
  const Clusters c(1);
  const auto each = make({{"ef", "3000"}, {"tokens", "100"}, {"heads", "each"}});
  const auto all = make({{"ef", "3000"}, {"tokens", "100"}, {"heads", "union"}});
  each->update(c.head()), all->update(c.head());
  for (size_t i = 0; i < 20; ++i) {
    std::vector<int32_t> first = c.best(i, 0, 100), second = c.best(i, 1, 100);
    EXPECT_EQ(select(*each, c, i, 2), (std::vector{with_window(first), with_window(second)}));
    first.insert(first.end(), second.begin(), second.end());
    EXPECT_EQ(select(*all, c, i, 1)[0], with_window(first));
  }
}

TEST(IndexFetch, TheDefaultSearchFindsNineOfTen) {
  for (const uint64_t seed : {2u, 3u}) {
    const Clusters c(seed);
    const auto index = make({{"heads", "each"}});
    index->update(c.head());
    size_t found = 0, wanted = 0;
    for (size_t i = 0; i < 20; ++i) {
      const auto runs = select(*index, c, i, 2);
      for (size_t g = 0; g < 2; ++g) {
        EXPECT_EQ(keys_read(runs[g]), kInit + kLocal + 100);
        for (const int32_t t : c.best(i, g, 100)) {
          found += std::any_of(runs[g].begin(), runs[g].end(),
                               [&](const kv::Run& r) { return r.first <= t && t < r.end; });
        }
        wanted += 100;
      }
    }
    EXPECT_GE(double(found), 0.9 * double(wanted));
  }
}

TEST(IndexFetch, AWiderSearchFindsOthers) {
  const Clusters c(8);
  const auto narrow =
      make({{"ef", "1"}, {"tokens", "10"}, {"build", "10"}, {"links", "4"}, {"heads", "each"}});
  const auto wide =
      make({{"ef", "500"}, {"tokens", "10"}, {"build", "10"}, {"links", "4"}, {"heads", "each"}});
  narrow->update(c.head()), wide->update(c.head());
  float gained = 0;
  for (size_t i = 0; i < 20; ++i) {
    const auto sum = [&](FetchIndex& index) {
      float total = 0;
      const Runs runs = select(index, c, i, 2)[0];
      for (const kv::Run& run : runs) {
        for (int32_t t = run.first; t < run.end; ++t) {
          if (t < int32_t(kInit) || t >= int32_t(kTokens - kLocal)) continue;
          total += dot(c.query(i).row(0, 0, kDim), c.keys.data() + size_t(t) * kDim, kDim);
        }
      }
      return total;
    };
    gained += sum(*wide) - sum(*narrow);
  }
  EXPECT_GT(gained, 0.0f);
}

// Queries of a model, which lie elsewhere than its keys do.
TEST(IndexFetch, QueriesOfAModelFindTheirKeys) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Recording& r = test::recorded_layer();
  const auto index = make({{"heads", "each"}}), exact = make({{"heads", "each"}, {"ef", "3000"}});
  size_t found = 0, wanted = 0;
  for (size_t h = 0; h < r.kv_heads(); ++h) {
    const auto graph = index->clone(), all = exact->clone();
    for (size_t s = 0; s < r.steps(); ++s) {
      const size_t n = r.prompt() + s + 1;
      std::vector<Runs> runs(2), want(2);
      graph->update(r.head(h, n)), all->update(r.head(h, n));
      graph->select(r.head(h, n), r.queries(h, n - 1, 1), {}, runs);
      all->select(r.head(h, n), r.queries(h, n - 1, 1), {}, want);
      for (size_t g = 0; g < 2; ++g) {
        Runs both = runs[g];
        both.insert(both.end(), want[g].begin(), want[g].end());
        sort_runs(both);
        found += 2 * (kInit + kLocal + 100) - keys_read(both) - kInit - kLocal;
        wanted += 100;
      }
    }
  }
  fmt::print("  found {} of {}\n", found, wanted);
  EXPECT_GE(double(found), 0.95 * double(wanted));
}

// Searches that are not exact, so that another graph would answer otherwise.
TEST(IndexFetch, HowItGrewAndForksDoNotMatter) {
  const Clusters c(4);
  const auto whole = make({{"ef", "10"}, {"tokens", "50"}});
  const auto grown = make({{"ef", "10"}, {"tokens", "50"}});
  whole->update(c.head());
  for (size_t n = 500; n < 2900; n += 7) grown->update(c.head(n));
  const auto fork = grown->clone();
  grown->update(c.head()), fork->update(c.head());
  EXPECT_EQ(fork->bytes(), grown->bytes());
  for (size_t i = 0; i < 20; ++i) {
    const auto want = select(*whole, c, i, 1);
    EXPECT_EQ(select(*grown, c, i, 1), want);
    EXPECT_EQ(select(*fork, c, i, 1), want);
  }
}

TEST(IndexFetch, GoingBackBehindTheWindowBuildsAnew) {
  const Clusters c(5), other(6);
  const auto fresh = make({{"ef", "10"}, {"tokens", "50"}});
  const auto used = make({{"ef", "10"}, {"tokens", "50"}});
  fresh->update(c.head());
  used->update(other.head());
  used->update(other.head(0));
  used->update(c.head());
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(select(*used, c, i, 1), select(*fresh, c, i, 1));
}

// Back by less than the window: what the graph holds of it is not found twice.
TEST(IndexFetch, GoingBackALittleReadsNoFewerKeys) {
  const Clusters c(7);
  const auto index = make({{"ef", "3000"}, {"tokens", "100"}, {"heads", "each"}});
  std::vector<Runs> runs(2), want(2);
  index->update(c.head());
  index->update(c.head(kTokens - 40));
  const auto fresh = make({{"ef", "3000"}, {"tokens", "100"}, {"heads", "each"}});
  fresh->update(c.head(kTokens - 40));
  index->select(c.head(kTokens - 40), c.query(0), {}, runs);
  fresh->select(c.head(kTokens - 40), c.query(0), {}, want);
  EXPECT_EQ(runs, want);
  EXPECT_EQ(keys_read(runs[0]), kInit + kLocal + 100);
}

}  // namespace
}  // namespace fathom::kv
