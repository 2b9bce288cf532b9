// Quest and LServe, which choose pages by bounds, against the results of their own implementations.
#include <gtest/gtest.h>

#include <cmath>

#include "kv/fetch/lserve.h"
#include "kv/fetch/page_bounds.h"
#include "kv/fetch/quest.h"
#include "kv/fetch/runs.h"
#include "support/decisions.h"
#include "support/kv_layer.h"

namespace fathom::kv {
namespace {

using namespace fathom::test;  // NOLINT
constexpr Tolerance kScores{0, 1e-3};

std::vector<int32_t> tokens_of(const Runs& runs) {
  std::vector<int32_t> out;
  for (const Run& r : runs) {
    for (int32_t t = r.first; t < r.end; ++t) out.push_back(t);
  }
  return out;
}

std::vector<int32_t> pages_of(const Runs& runs, int32_t page) {
  std::vector<int32_t> out;
  for (const int32_t t : tokens_of(runs)) {
    if (out.empty() || out.back() != t / page) out.push_back(t / page);
  }
  return out;
}

// A policy whose every query head chooses for itself, over the recording's decode steps. `visit`
// gets the step, the query head, and its runs.
template <class Visit>
void decode(const FetchPolicy& policy, Visit visit) {
  for (size_t h = 0; h < 4; ++h) {
    const auto index = policy.make_index();
    for (size_t s = 0; s < 8; ++s) {
      const HeadView head = recorded_layer().head(h, 2049 + s);
      index->update(head);
      std::vector<Runs> runs(2);
      index->select(head, recorded_layer().queries(h, 2048 + s, 1), {}, runs);
      for (size_t g = 0; g < 2; ++g) visit(s, 2 * h + g, head, runs[g]);
    }
  }
}

// Scores of the pages, [heads][pages], for one step.
std::vector<float> bounds_of(size_t page, size_t step, size_t query_head) {
  PageBounds bounds(page);
  const HeadView head = recorded_layer().head(query_head / 2, 2049 + step);
  bounds.update(head);
  std::vector<float> scores;
  bounds.score(head, recorded_layer().queries(query_head / 2, 2048 + step, 1), scores);
  const size_t at = query_head % 2 * bounds.pages();
  return {scores.begin() + ptrdiff_t(at), scores.begin() + ptrdiff_t(at + bounds.pages())};
}

void expect_quest(const std::string& name, size_t page, size_t count) {
  const auto policy = make_quest(Parameters(quest_info(),
                                            {{"page", std::to_string(page)},
                                             {"budget", "256"},
                                             {"sinks", "0"},
                                             {"recent", "0"},
                                             {"heads", "each"}},
                                            "test"));
  const size_t pages = expected_shape(name + ".scores").back();
  const auto outputs = expected_floats(name + ".decode_out");
  decode(*policy, [&](size_t s, size_t h, const HeadView& head, const Runs& runs) {
    SCOPED_TRACE(name + ", step " + std::to_string(s) + ", head " + std::to_string(h));
    const auto want = expected_score_row(name + ".scores", s * 8 + h, pages);
    expect_close(bounds_of(page, s, h), want, kScores, "bounds");
    const bool same =
        expect_same_choice(pages_of(runs, int32_t(page)),
                           expected_row(name + ".pages", s * 8 + h, count), want, kScores);
    if (!same) return;
    const float* q = recorded_layer().queries(h / 2, 2048 + s, 1).row(0, h % 2, 32);
    expect_close(attend(head, q, tokens_of(runs)), std::span(outputs).subspan((s * 8 + h) * 32, 32),
                 {0, 5e-5}, "decode_out");
  });
}

TEST(Quest, DecidesAsTheAuthors) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  expect_quest("quest.p16", 16, 16);
  expect_quest("quest.p64", 64, 4);
}

TEST(Quest, BoundsAreBounds) {
  const RandomLayer layer(333, 1, 3);
  const HeadView head = layer.head(0);
  PageBounds bounds(16);
  bounds.update(head);
  std::vector<float> scores;
  for (size_t t = 0; t < 333; t += 10) {
    const QueryView query = layer.queries(0, t, 1);
    bounds.score(head, query, scores);
    for (size_t g = 0; g < 2; ++g) {
      for (size_t k = 0; k < 333; ++k) {
        double product = 0, size = 0;
        for (size_t c = 0; c < 16; ++c) {
          const double x = double(query.row(0, g, 16)[c]) * double(head.key(k)[c]);
          product += x, size += std::fabs(x);
        }
        // The bound sums 32 terms in f32, of a size that its page's extremes have.
        ASSERT_GE(scores[g * bounds.pages() + k / 16], product - 32 * 6e-8 * (size + 100));
      }
    }
  }
}

// Rows stay in 16 bits as long as those hold every number, and always say what they were given.
TEST(ExactRows, HoldEveryNumberInAsFewBitsAsItNeeds) {
  constexpr size_t kWidth = 16, kCount = 9;
  const auto expect = [&](const std::vector<float>& numbers, size_t bytes) {
    ExactRows rows;
    rows.resize(kCount, kWidth);
    for (size_t r = 0; r < kCount; ++r) {
      rows.set(r, std::span(numbers).subspan(r * kWidth, kWidth));
    }
    std::vector<float> unit(kWidth * kWidth), out(kWidth * kCount);
    for (size_t c = 0; c < kWidth; ++c) unit[c * kWidth + c] = 1;
    rows.multiply(unit, kWidth, out);
    for (size_t r = 0; r < kCount; ++r) {
      for (size_t c = 0; c < kWidth; ++c) {
        ASSERT_EQ(out[c * kCount + r], numbers[r * kWidth + c]) << r << ", " << c;
      }
    }
    EXPECT_EQ(rows.bytes(), bytes * kCount * kWidth);
  };
  std::vector<float> numbers(kCount * kWidth);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = std::ldexp(float(i % 100) - 50, 40);
  expect(numbers, 2);  // of BF16's range, not of F16's
  numbers[5 * kWidth + 3] = 1.0f + 1.0f / 1024;
  expect(numbers, 4);  // what was in 16 bits before is still there
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = 1.0f + float(i) / 1024;
  expect(numbers, 2);  // of F16
  numbers[0] = 1.0f / 3;
  expect(numbers, 4);
  numbers[0] = 1.0f;
  numbers[8 * kWidth] = 1.0f / 3;
  expect(numbers, 4);
}

// With heads=union the group reads what any of its heads chooses.
TEST(Quest, AGroupMayReadAllItsHeadsChoices) {
  const RandomLayer layer(700, 1, 9);
  const auto make = [](const char* heads) {
    return make_quest(Parameters(quest_info(), {{"budget", "128"}, {"heads", heads}}, "test"))
        ->make_index();
  };
  const auto each = make("each"), all = make("union");
  size_t more = 0;
  for (size_t n = 600; n < 700; ++n) {
    std::vector<Runs> own(2), one(1);
    each->update(layer.head(0, n)), all->update(layer.head(0, n));
    each->select(layer.head(0, n), layer.queries(0, n - 1, 1), {}, own);
    all->select(layer.head(0, n), layer.queries(0, n - 1, 1), {}, one);
    Runs want = own[0];
    want.insert(want.end(), own[1].begin(), own[1].end());
    sort_runs(want);
    ASSERT_EQ(one[0], want) << n;
    more += keys_read(want) - keys_read(own[0]);
  }
  EXPECT_GT(more, 0u);
}

TEST(LServe, DecidesAsTheAuthors) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const auto policy = make_lserve_fetch(
      Parameters(lserve_fetch_info(),
                 {{"budget", "256"}, {"reuse", "1"}, {"sinks", "0"}, {"heads", "each"}}, "test"));
  decode(*policy, [&](size_t s, size_t h, const HeadView&, const Runs& runs) {
    SCOPED_TRACE("step " + std::to_string(s) + ", head " + std::to_string(h));
    const auto want = expected_score_row("lserve.page_scores", s * 8 + h, 33);
    const std::vector<float> logical = bounds_of(16, s, h);
    std::vector<float> physical(33, -INFINITY);
    for (size_t l = 0; l < logical.size(); ++l) {
      physical[l / 4] = std::max(physical[l / 4], logical[l]);
    }
    expect_close(physical, want, kScores, "page scores");
    auto pages = want;
    pages.back() = INFINITY;  // always read, so no boundary
    expect_same_choice(pages_of(runs, 64), expected_row("lserve.pages", s * 8 + h, 4), pages,
                       kScores);
  });
}

// One logical page a page, chosen anew every step, is Quest with the last page forced.
TEST(LServe, WithOneLogicalPageItIsQuest) {
  const RandomLayer layer(700, 1, 9);
  const auto lserve = make_lserve_fetch(Parameters(
      lserve_fetch_info(), {{"budget", "256"}, {"reuse", "1"}, {"logical", "64"}}, "test"));
  const auto quest =
      make_quest(Parameters(quest_info(), {{"budget", "256"}, {"page", "64"}}, "test"));
  const auto a = lserve->make_index(), b = quest->make_index();
  for (size_t n = 600; n < 700; ++n) {
    std::vector<Runs> x(1), y(1);
    a->update(layer.head(0, n)), b->update(layer.head(0, n));
    a->select(layer.head(0, n), layer.queries(0, n - 1, 1), {}, x);
    b->select(layer.head(0, n), layer.queries(0, n - 1, 1), {}, y);
    ASSERT_EQ(x, y) << n;
  }
}

TEST(LServe, AChoiceServesFourStepsAndGainsTheNewPage) {
  const RandomLayer layer(700, 1, 9);
  const auto policy = make_lserve_fetch(
      Parameters(lserve_fetch_info(), {{"budget", "256"}, {"page", "16"}, {"reuse", "3"}}, "test"));
  const auto index = policy->make_index();
  std::vector<int32_t> last;
  for (size_t n = 600; n < 700; ++n) {
    std::vector<Runs> runs(1);
    index->update(layer.head(0, n));
    index->select(layer.head(0, n), layer.queries(0, n - 1, 1), {}, runs);
    auto pages = pages_of(runs[0], 16);
    ASSERT_EQ(pages.back(), int32_t((n - 1) / 16));
    if (n > 600 && (n - 1) % 3 != 0) {
      if (last.back() != pages.back()) last.push_back(pages.back());
      ASSERT_EQ(pages, last) << n;
    }
    last = pages;
  }
}

}  // namespace
}  // namespace fathom::kv
