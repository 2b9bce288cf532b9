#include "kv/store/zipvl.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kv/attention_rows.h"
#include "kv/store/coded.h"

namespace fathom::kv {
namespace {

using kernel::kPageTokens;
using kernel::KvFormat;

std::shared_ptr<const StoreCodec> codec(KvFormat format) {
  return make_coded_codec({"x", format, format, KvFormat::kF32, 0});
}

// Queries that all lean to `direction`; keys of some pages do, too.
struct Head {
  static constexpr size_t kDim = 32;
  std::vector<float> k, q;
  HeadView view;
  QueryView queries;

  Head(size_t pages, const std::vector<size_t>& loud, float strength) {
    std::mt19937_64 rng(pages);
    std::normal_distribution<float> normal;
    k.resize(pages * kPageTokens * kDim);
    q.resize(16 * 2 * kDim);
    for (float& x : k) x = normal(rng);
    for (float& x : q) x = normal(rng) * 0.2f + 1.0f;
    for (const size_t page : loud) {
      for (size_t i = 0; i < kPageTokens * kDim; ++i) k[page * kPageTokens * kDim + i] += strength;
    }
    view.head_dim = kDim;
    view.tokens = pages * kPageTokens;
    view.k = k.data();
    view.scale = 1 / std::sqrt(32.0f);
    queries = {2, 16, view.tokens - 16, 2 * kDim, q.data()};
  }
};

struct Choice {
  std::shared_ptr<const StoreCodec> high = codec(KvFormat::kQ4), low = codec(KvFormat::kQ2);
  std::vector<PageChooser::Page> pages;
  Choice(const Head& head, double mass) {
    pages.resize(head.view.tokens / kPageTokens, {nullptr, true});
    pages.back().open = false;  // the tail
    make_zipvl_store({mass, 64, 128, high, low})->choose(head.view, head.queries, pages);
  }
  size_t important() const {
    size_t n = 0;
    for (const auto& page : pages) n += page.coder == high.get();
    return n;
  }
};

TEST(ZipVlStore, ImportantPagesHoldTheMassAndNoMoreThanNeeded) {
  const Head head(20, {3, 7, 12}, 0.5f);
  std::vector<float> received(head.view.tokens);
  received_attention(head.view, head.queries, received);
  double total = 0;
  for (const float x : received) total += x;
  EXPECT_NEAR(total, 16, 1e-3);  // each row is shared out once
  for (const double mass : {0.3, 0.6, 0.9, 0.975}) {
    const Choice choice(head, mass);
    double covered = 0, least = 1e9, most = 0;
    for (size_t p = 0; p < 20; ++p) {
      double sum = 0;
      for (size_t t = 0; t < kPageTokens; ++t) sum += received[p * kPageTokens + t];
      const bool low = choice.pages[p].coder == choice.low.get();
      if (!low) covered += sum;
      if (low) most = std::max(most, sum);
      if (!low && p > 0 && p < 19) least = std::min(least, sum);
    }
    EXPECT_GE(covered, mass * total - 1e-4);
    EXPECT_GE(least, most);                           // the best ones
    EXPECT_LT(covered - least, mass * total + 1e-4);  // not one too many
  }
}

TEST(ZipVlStore, FollowsTheAttention) {
  const Choice peaked(Head(20, {5}, 2.0f), 0.9), flat(Head(20, {}, 0), 0.9);
  EXPECT_EQ(peaked.important(), 2u);  // the first and the loud one
  EXPECT_EQ(peaked.pages[5].coder, peaked.high.get());
  EXPECT_GT(flat.important(), 14u);
  EXPECT_EQ(Choice(Head(20, {}, 0), 1).important(), 19u);
  EXPECT_EQ(Choice(Head(20, {}, 0), 0).important(), 1u);
  EXPECT_EQ(flat.pages.back().coder, nullptr);
}

TEST(ZipVlStore, WhatIsEncodedStays) {
  const Head head(10, {}, 0);
  Choice choice(head, 0.5);
  std::vector<PageChooser::Page> again = choice.pages;
  for (auto& page : again) page.open = false;
  make_zipvl_store({1, 64, 128, choice.high, choice.low})->choose(head.view, head.queries, again);
  for (size_t p = 0; p < 10; ++p) EXPECT_EQ(again[p].coder, choice.pages[p].coder);
}

}  // namespace
}  // namespace fathom::kv
