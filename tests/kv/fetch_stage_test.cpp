#include "kv/fetch_stage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "base/error.h"
#include "kv/attend.h"
#include "kv/replay/attend_lists.h"
#include "kv/replay/fetch_layer.h"
#include "kv/store/plain.h"
#include "support/kv_layer.h"
#include "support/layer_text.h"

namespace fathom::kv {
namespace {

using kernel::KvFormat;

using Text = test::LayerText;
constexpr size_t kHeads = Text::kHeads, kKvHeads = Text::kKvHeads, kDim = Text::kDim;

std::shared_ptr<const FetchPolicy> policy(std::string_view line) {
  return make_policy(parse_policy(line), KvFormat::kF32).fetch;
}

struct Result {
  std::vector<float> out;
  double share;
};

// Reads `prompt` tokens at once and the rest one by one.
Result run(const Text& text, std::shared_ptr<const FetchPolicy> fetch, size_t prompt) {
  ThreadPool pool(3);
  PagePool pages(size_t{64} << 20);
  Attender attender(pool, kernel::default_kernels(), nullptr, std::move(fetch));
  SequenceCache cache(pages, make_plain_codec(KvFormat::kF32), {1, kKvHeads, kDim});
  Result result{std::vector<float>(text.q.size()), 0};
  for (size_t at = 0; at < text.tokens;) {
    const size_t n = at == 0 ? prompt : 1;
    cache.extend(n);
    const AttendLayer layer = text.step(at, result.out.data());
    const SequenceRows rows{&cache, 0, n};
    attender.run(layer, {&rows, 1});
    at += n;
  }
  result.share = attender.fetch_account().share();
  return result;
}

TEST(FetchStage, ABudgetForEverythingGivesTheBitsOfDenseAttention) {
  const Text text(2200, 1);
  const Result dense = run(text, nullptr, 2150);
  for (const char* line :
       {"fetch=quest(budget=4096)", "fetch=quest(budget=4096,page=64)",
        "fetch=quest(budget=4096,heads=each)", "fetch=lserve", "fetch=index(tokens=4096)"}) {
    const Result all = run(text, policy(line), 2150);
    EXPECT_EQ(all.out, dense.out) << line;
    EXPECT_DOUBLE_EQ(all.share, 1.0) << line;
  }
}

// Every step reads what the index names, in double, wherever pages are cut.
TEST(FetchStage, ReadsWhatTheIndexNames) {
  const Text text(1300, 2);
  constexpr size_t kPrompt = 1170;
  for (const char* line : {"fetch=quest(budget=256)", "fetch=quest(budget=256,page=64)",
                           "fetch=quest(budget=160,page=24,heads=each)", "fetch=lserve(budget=256)",
                           "fetch=index(init=16,local=64,tokens=64,ef=128)",
                           "fetch=index(init=16,local=64,tokens=64,ef=128,heads=each)"}) {
    const auto fetch = policy(line);
    const Result got = run(text, fetch, kPrompt);
    EXPECT_LT(got.share, 0.35) << line;
    for (size_t kv_head = 0; kv_head < kKvHeads; ++kv_head) {
      const std::vector<float> k = text.rows(text.k, kv_head), v = text.rows(text.v, kv_head);
      const auto index = fetch->make_index();
      for (size_t t = kPrompt; t < text.tokens; ++t) {
        HeadView head;
        head.kv_head = kv_head;
        head.head_dim = kDim;
        head.tokens = t + 1;
        head.k = k.data();
        head.v = v.data();
        head.scale = 0.25f;
        QueryView query;
        query.group = 2;
        query.tokens = 1;
        query.first = t;
        query.stride = kHeads * kDim;
        query.q = &text.q[(t * kHeads + kv_head * 2) * kDim];
        std::vector<Runs> runs(fetch->needs().per_query_head ? 2 : 1);
        index->update(head);
        index->select(head, query, {}, runs);
        for (size_t g = 0; g < 2; ++g) {
          std::vector<int32_t> keys;
          for (const kv::Run& r : runs[g % runs.size()]) {
            for (int32_t i = r.first; i < r.end; ++i) keys.push_back(i);
          }
          std::vector<float> want(kDim);
          attend_keys(head, query.row(0, g, kDim), keys, want.data());
          for (size_t c = 0; c < kDim; ++c) {
            ASSERT_NEAR(got.out[(t * kHeads + kv_head * 2 + g) * kDim + c], want[c], 2e-5)
                << line << " token " << t << " head " << kv_head * 2 + g;
          }
        }
      }
    }
  }
}

// What learns from the prompt, too: the engine's order of calls is the replay's, however the prompt
// is cut into steps, and what is not stored (unrotated keys and queries) is made again.
TEST(FetchStage, DecidesAsTheReplayDoes) {
  constexpr size_t kPrompt = 610, kTokens = 625, kWidth = kHeads * kDim;
  const test::RandomLayer made(kTokens, kKvHeads, 12);
  std::vector<float> q, k, v;  // [tokens][heads or kv heads][kDim]
  for (size_t t = 0; t < kTokens; ++t) {
    const float* row = made.queries(0, t, 1).q;
    q.insert(q.end(), row, row + kWidth);
    for (size_t h = 0; h < kKvHeads; ++h) {
      const HeadView head = made.head(h);
      k.insert(k.end(), head.key(t), head.key(t) + kDim);
      v.insert(v.end(), head.value(t), head.value(t) + kDim);
    }
  }
  for (const char* line :
       {"fetch=infllm(init=16,local=64,block=16,blocks=4,observed=32)",
        "fetch=emllm(init=16,local=64,budget=96,most=16,least=4,observed=32,contiguity=0.3)",
        "fetch=longheads(budget=128,chunk=16)", "fetch=longheads(budget=128,chunk=16,heads=group)",
        "fetch=sentence(budget=128)", "fetch=recycled(budget=96,recent=8,interval=4,block=1)",
        "fetch=recycled(budget=96,recent=8,interval=4,block=16)", "fetch=lserve(budget=192)"}) {
    const auto fetch = policy(line);
    FetchLayer replay(*fetch, kKvHeads);
    std::vector<HeadView> heads(kKvHeads);
    std::vector<QueryView> queries(kKvHeads);
    const auto look = [&](size_t first, size_t end) {
      for (size_t h = 0; h < kKvHeads; ++h) {
        heads[h] = made.head(h, end);
        queries[h] = made.queries(h, first, end - first);
      }
    };
    const size_t block = std::max<size_t>(fetch->needs().observed, 1);
    for (size_t at = 0; at < kPrompt && fetch->needs().observed > 0; at += block) {
      look(at, std::min(at + block, kPrompt));
      replay.read_prompt(heads, queries);
    }
    ThreadPool pool(3);
    PagePool pages(size_t{64} << 20);
    Attender attender(pool, kernel::default_kernels(), nullptr, fetch);
    SequenceCache cache(pages, make_plain_codec(KvFormat::kF32), {1, kKvHeads, kDim});
    const TextView text = *made.head(0).text;
    cache.text().surprise.assign(text.surprise.begin(), text.surprise.end());
    cache.text().sentence_ends.assign(text.sentence_ends.begin(), text.sentence_ends.end());
    for (size_t at = 0; at < kTokens;) {
      const size_t n = at < kPrompt ? std::min<size_t>(100, kPrompt - at) : 1;
      std::vector<float> out(n * kWidth);
      cache.extend(n);
      const AttendLayer layer{0,
                              kHeads,
                              &q[at * kWidth],
                              &k[at * kKvHeads * kDim],
                              &v[at * kKvHeads * kDim],
                              out.data(),
                              0.25f,
                              0,
                              0,
                              *made.head(0).rope};
      const SequenceRows rows{&cache, 0, n, at < kPrompt ? kPrompt : 0};
      attender.run(layer, {&rows, 1});
      at += n;
      if (at <= kPrompt) continue;
      look(at - 1, at);
      const auto chosen = replay.step(heads, queries);
      for (size_t h = 0; h < kHeads; ++h) {
        const auto& lists = chosen[h / 2];
        std::vector<int32_t> keys;
        for (const kv::Run& r : lists[h % 2 % lists.size()]) {
          for (int32_t i = r.first; i < r.end; ++i) keys.push_back(i);
        }
        std::vector<float> want(kDim);
        attend_keys(heads[h / 2], queries[h / 2].row(0, h % 2, kDim), keys, want.data());
        for (size_t c = 0; c < kDim; ++c) {
          ASSERT_NEAR(out[h * kDim + c], want[c], 2e-5) << line << " token " << at << " head " << h;
        }
      }
    }
    EXPECT_LT(attender.fetch_account().share(), 0.6) << line;
  }
}

TEST(FetchStage, IndexesFollowCutsAndForks) {
  ThreadPool pool(2);
  PagePool pages(size_t{64} << 20);
  const auto fetch = policy("fetch=quest(budget=64)");
  const auto step = [&](SequenceCache& cache, Attender& attender, const Text& text, size_t at,
                        size_t n) {
    std::vector<float> out(n * kHeads * kDim);
    cache.extend(n);
    const SequenceRows rows{&cache, 0, n};
    attender.run({0, kHeads, &text.q[at * kHeads * kDim], &text.k[at * kKvHeads * kDim],
                  &text.v[at * kKvHeads * kDim], out.data(), 0.25f},
                 {&rows, 1});
    return out;
  };
  const Text first(700, 3), second(700, 4);
  Attender attender(pool, kernel::default_kernels(), nullptr, fetch);
  SequenceCache used(pages, make_plain_codec(KvFormat::kF32), {1, kKvHeads, kDim});
  step(used, attender, first, 0, 600);
  for (size_t t = 600; t < 640; ++t) step(used, attender, first, t, 1);
  used.truncate(500);
  SequenceCache fresh(pages, make_plain_codec(KvFormat::kF32), {1, kKvHeads, kDim});
  step(fresh, attender, first, 0, 500);
  step(used, attender, second, 500, 100);  // other tokens where the index had known some
  step(fresh, attender, second, 500, 100);
  SequenceCache fork = used.fork();
  for (size_t t = 600; t < 620; ++t) {
    const auto want = step(fresh, attender, second, t, 1);
    EXPECT_EQ(step(used, attender, second, t, 1), want) << t;
    EXPECT_EQ(step(fork, attender, second, t, 1), want) << t;
  }
}

}  // namespace
}  // namespace fathom::kv
