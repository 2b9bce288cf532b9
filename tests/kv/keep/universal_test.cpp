// What every KEEP method must do, over the whole registry.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kv/registry.h"
#include "support/kv_layer.h"
#include "support/temp_dir.h"

namespace fathom::kv {
namespace {

using test::RandomLayer;
constexpr size_t kLayers = 4, kHeads = 2;

class EachKeep : public ::testing::TestWithParam<const Method*> {
 protected:
  // With a budget of `tokens` where the method has one, and the file it needs.
  std::unique_ptr<const KeepPolicy> make(size_t tokens) const {
    std::map<std::string, std::string> typed;
    const std::string budget = std::to_string(tokens), half = std::to_string(tokens / 2);
    for (const ParameterInfo& p : GetParam()->info.parameters) {
      const std::string name(p.name);
      if (name == "budget") typed[name] = budget;
      if (name == "heavy" || (name == "recent" && !has("budget"))) typed[name] = half;
      if (name == "share" || name == "sparsity") typed[name] = "0";
      if (p.choices == kAnyText) typed[name] = table();
    }
    return GetParam()->keep(Parameters(GetParam()->info, typed, "test"));
  }
  bool has(std::string_view parameter) const {
    for (const ParameterInfo& p : GetParam()->info.parameters) {
      if (p.name == parameter) return true;
    }
    return false;
  }
  bool exact() const { return make(64) == nullptr; }

 private:
  std::string table() const {
    test::write_file(dir_.file("heads.tsv"), "1 0\n0 1\n1 0\n1 1\n");
    return dir_.file("heads.tsv");
  }
  test::TempDir dir_;
};

std::vector<std::vector<int32_t>> kept_of(const KeepPolicy& policy, const RandomLayer& layer) {
  std::vector<std::vector<int32_t>> kept(layer.kv_heads());
  policy.select(layer.keep_view(policy.needs(), kLayers), kept);
  return kept;
}

void expect_sorted_indices(const std::vector<int32_t>& kept, size_t tokens) {
  for (size_t i = 0; i < kept.size(); ++i) {
    ASSERT_GE(kept[i], i == 0 ? 0 : kept[i - 1] + 1);
    ASSERT_LT(size_t(kept[i]), tokens);
  }
}

// T0, and ragged lengths: nothing is lost while everything fits.
TEST_P(EachKeep, ABudgetThatCoversEverythingKeepsEverything) {
  const auto policy = make(8192);
  if (!policy) return;
  for (const size_t tokens : {0u, 1u, 2u, 63u, 64u, 65u, 400u}) {
    const RandomLayer layer(tokens, kHeads, 7);
    for (const auto& kept : kept_of(*policy, layer)) EXPECT_EQ(kept.size(), tokens);
  }
}

TEST_P(EachKeep, IndicesAreSortedUniqueAndInside) {
  for (const size_t budget : {2u, 33u, 100u}) {
    const auto policy = make(budget);
    if (!policy) return;
    for (const size_t tokens : {0u, 1u, 3u, 63u, 64u, 65u, 333u}) {
      const RandomLayer layer(tokens, kHeads, tokens);
      const auto kept = kept_of(*policy, layer);
      for (const auto& head : kept) expect_sorted_indices(head, tokens);
      EXPECT_EQ(kept, kept_of(*policy, layer));
    }
  }
}

// T2: layers together never keep more than their budgets.
TEST_P(EachKeep, BudgetsAreNotExceeded) {
  if (exact() || !has("budget")) return;
  for (const size_t budget : {2u, 40u, 111u}) {
    size_t total = 0;
    for (size_t l = 0; l < kLayers; ++l) {
      RandomLayer layer(500, kHeads, l);
      layer.set_layer(l);
      for (const auto& head : kept_of(*make(budget), layer)) total += head.size();
    }
    EXPECT_LE(total, kLayers * kHeads * budget) << "budget " << budget;
    EXPECT_GT(total, 0u);
  }
}

// T1: one key aligned with the last queries. Methods that do not look at queries, or only at recent
// tokens, have no reason to keep it.
TEST_P(EachKeep, ANeedleThatQueriesLookForIsKept) {
  const auto policy = make(128);  // more than any method's recent tokens
  if (!policy) return;
  const KeepNeeds needs = policy->needs();
  if (needs.window == 0 && !needs.received) return;
  for (const size_t percent : {5u, 25u, 50u, 75u, 95u}) {
    RandomLayer layer(640, kHeads, percent);
    const size_t at = 640 * percent / 100;
    layer.plant(at, 8.0f);
    for (const auto& head : kept_of(*policy, layer)) {
      EXPECT_TRUE(std::binary_search(head.begin(), head.end(), int32_t(at))) << "at " << at;
    }
  }
}

TEST_P(EachKeep, NamesItsPaper) {
  const MethodInfo& info = GetParam()->info;
  EXPECT_EQ(info.paper.empty(), exact());
  EXPECT_LE(info.name.size(), 18u);  // a column of `fathom policies`
}

std::vector<const Method*> keep_methods() {
  std::vector<const Method*> out;
  for (const Method& m : all_methods()) {
    if (m.info.stage == Stage::kKeep) out.push_back(&m);
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Registry, EachKeep, ::testing::ValuesIn(keep_methods()),
                         [](const auto& p) { return std::string(p.param->info.name); });

}  // namespace
}  // namespace fathom::kv
