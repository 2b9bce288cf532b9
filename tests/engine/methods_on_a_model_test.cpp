// What every KEEP and FETCH method must do on a model, over the whole registry.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>

#include "kv/registry.h"
#include "support/method_lines.h"
#include "support/tiny_model.h"

namespace fathom::engine {
namespace {

using kv::Method;
using kv::ParameterInfo;
using kv::Stage;
using test::tiny_model;

// What the registry says a method's parameters are, as numbers.
std::map<std::string, double> defaults(const Method& m) {
  std::map<std::string, double> out;
  for (const ParameterInfo& p : m.info.parameters) {
    if (p.choices.empty()) out[std::string(p.name)] = std::stod(std::string(p.value));
  }
  return out;
}

class EachMethod : public testing::TestWithParam<const Method*> {
 protected:
  const Method& method() const { return *GetParam(); }

  std::string roomy(size_t layers, size_t kv_heads) {
    return lines_.emplace_back(layers, kv_heads).roomy(method());
  }
  std::string tight(size_t layers, size_t kv_heads) {
    return lines_.emplace_back(layers, kv_heads).tight(method());
  }

 private:
  std::deque<test::MethodLines> lines_;  // whose tables policies read
};

// Logits of the last token of a prompt, and of every token after it.
std::vector<float> logits_of(Runner& runner, std::span<const TokenId> prompt,
                             std::span<const TokenId> written) {
  kv::SequenceCache cache = runner.new_cache();
  const std::span<float> first = runner.read(cache, prompt);
  std::vector<float> out(first.begin(), first.end());
  for (const TokenId id : written) {
    const std::span<float> next = runner.read(cache, {&id, 1});
    out.insert(out.end(), next.begin(), next.end());
  }
  return out;
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double worst = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    worst = std::max(worst, std::fabs(double{a[i]} - b[i]));
  }
  return worst;
}

// T0 of KEEP, T1 of FETCH. Every token's logits, on models with grouped heads, biases, soft caps,
// sliding windows, two rotations: with nothing left out they are those of dense attention, up to
// the order of sums.
TEST_P(EachMethod, RoomForEverythingIsDense) {
  for (const char* name : {"llama", "llama3-rope", "qwen2", "qwen3", "phi3", "gemma2", "gemma3"}) {
    const auto dense = tiny_model(name, "");
    const auto& c = dense->config();
    const auto tokens = test::random_tokens(230, c.vocab, 1);
    const auto prompt = std::span(tokens).first(200), written = std::span(tokens).subspan(200);
    const auto run = tiny_model(name, roomy(c.layers, c.kv_heads));
    const auto want = logits_of(*dense, prompt, written);
    EXPECT_LE(largest_difference(logits_of(*run, prompt, written), want), 1e-4) << name;
  }
}

// With little room, something else comes out: the tests above do not hold for want of trying.
TEST_P(EachMethod, LittleRoomChangesSomething) {
  const auto dense = tiny_model("llama", "");
  const auto& c = dense->config();
  const auto tokens = test::random_tokens(230, c.vocab, 1);
  const auto prompt = std::span(tokens).first(200), written = std::span(tokens).subspan(200);
  const auto run = tiny_model("llama", tight(c.layers, c.kv_heads));
  EXPECT_GT(
      largest_difference(logits_of(*run, prompt, written), logits_of(*dense, prompt, written)),
      1e-3);
}

// Not a bit depends on the number of threads.
TEST_P(EachMethod, ThreadsChangeNothing) {
  std::vector<float> want;
  for (const int threads : {1, 2, 3}) {
    const auto run = tiny_model("qwen3", tight(2, 2), {.threads = threads});
    const auto tokens = test::random_tokens(180, run->config().vocab, 3);
    const auto got = logits_of(*run, std::span(tokens).first(160), std::span(tokens).subspan(160));
    if (want.empty()) want = got;
    EXPECT_EQ(got, want) << threads << " threads";
  }
}

// Nor on how the prompt is cut into steps, but for methods that evict between these.
TEST_P(EachMethod, CutsChangeNothing) {
  std::vector<float> want;
  for (const size_t batch : {160, 96, 7, 1}) {
    const auto run = tiny_model("qwen3", tight(2, 2), {.batch = batch});
    if (run->policy().keep && run->policy().keep->evicts_while_reading()) return;
    const auto tokens = test::random_tokens(180, run->config().vocab, 3);
    const auto got = logits_of(*run, std::span(tokens).first(160), std::span(tokens).subspan(160));
    if (want.empty()) want = got;
    EXPECT_EQ(got, want) << "steps of " << batch;
  }
}

// Prompts of one token, shorter than any window, at the budget and one beyond it.
TEST_P(EachMethod, ShortPrompts) {
  const auto dense = tiny_model("llama", "");
  const auto& c = dense->config();
  const auto run = tiny_model("llama", tight(c.layers, c.kv_heads));
  for (const size_t n : {1u, 2u, 3u, 15u, 16u, 17u, 47u, 48u, 49u, 63u, 64u, 65u}) {
    const auto tokens = test::random_tokens(n + 8, c.vocab, uint32_t(n));
    const auto prompt = std::span(tokens).first(n), written = std::span(tokens).subspan(n);
    const auto got = logits_of(*run, prompt, written);
    EXPECT_TRUE(std::all_of(got.begin(), got.end(), [](float x) { return std::isfinite(x); })) << n;
    // The prompt itself was attended to in full.
    const auto want = logits_of(*dense, prompt, {});
    EXPECT_LE(largest_difference(std::span(got).first(want.size()), want), 1e-4) << n;
  }
}

// A fork goes on as its parent does.
TEST_P(EachMethod, ForksGoOnAlike) {
  const auto run = tiny_model("llama", tight(2, 2));
  const auto tokens = test::random_tokens(170, run->config().vocab, 4);
  kv::SequenceCache cache = run->new_cache();
  run->read(cache, std::span(tokens).first(150));
  for (size_t t = 150; t < 155; ++t) run->read(cache, std::span(tokens).subspan(t, 1));
  kv::SequenceCache fork = cache.fork();
  for (size_t t = 155; t < 170; ++t) {
    const std::span<float> got = run->read(cache, std::span(tokens).subspan(t, 1));
    const std::vector<float> want(got.begin(), got.end());
    const std::span<float> forked = run->read(fork, std::span(tokens).subspan(t, 1));
    ASSERT_EQ(std::vector<float>(forked.begin(), forked.end()), want) << t;
  }
}

// T4: two questions over one context. The second is answered as if the first had not been asked.
TEST_P(EachMethod, QuestionsDoNotDisturbEachOther) {
  const auto run = tiny_model("llama", tight(2, 2));
  const auto context = test::random_tokens(200, run->config().vocab, 4),
             first = test::random_tokens(30, run->config().vocab, 5),
             second = test::random_tokens(30, run->config().vocab, 6);
  const auto ask = [&](kv::SequenceCache cache, const std::vector<TokenId>& question) {
    std::vector<float> out;
    run->read(cache, std::span(question).first(20));
    for (size_t t = 20; t < question.size(); ++t) {
      const std::span<float> logits = run->read(cache, std::span(question).subspan(t, 1));
      out.insert(out.end(), logits.begin(), logits.end());
    }
    return out;
  };
  kv::SequenceCache shared = run->new_cache(), fresh = run->new_cache();
  run->read(shared, context);
  run->read(fresh, context);
  ask(shared.fork(), first);
  EXPECT_EQ(ask(shared.fork(), second), ask(std::move(fresh), second));
}

std::vector<const Method*> methods() {
  std::vector<const Method*> out;
  for (const Method& m : kv::all_methods()) {
    const bool stage = m.info.stage == Stage::kKeep || m.info.stage == Stage::kFetch;
    if (stage && m.info.name != "all") out.push_back(&m);
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Registry, EachMethod, testing::ValuesIn(methods()), [](const auto& p) {
  return std::string(kv::stage_name(p.param->info.stage)) + "_" + std::string(p.param->info.name);
});

// KEEP alone.
class EachKeepMethod : public EachMethod {
 protected:
  // A method that reads a table leaves one head alone.
  size_t has_table() const { return defaults(method()).count("sparsity"); }
};

// T2. Heads shrink to the budget when the prompt has been read, exceed it by less than a page while
// decoding, and the cache takes the bytes that its pages do; sinks and the last tokens are there.
TEST_P(EachKeepMethod, HeadsAndBytesShrink) {
  constexpr size_t kBudget = 48;
  const auto run = tiny_model("llama", tight(2, 2));
  const auto& c = run->config();
  const auto tokens = test::random_tokens(400, c.vocab, 5);
  kv::SequenceCache cache = run->new_cache();
  run->read(cache, std::span(tokens).first(260));
  const bool always = run->policy().keep->evicts_while_decoding();
  const auto check = [&](size_t most) {
    size_t kept = 0, pages = 0;
    for (size_t l = 0; l < c.layers; ++l) {
      for (size_t h = 0; h < c.kv_heads; ++h) {
        const kv::HeadCache& head = cache.head(l, h);
        kept += head.length();
        pages += head.pages().size();
        EXPECT_EQ(head.position(head.length() - 1), int32_t(cache.length()) - 1);
        if (defaults(method()).count("sinks")) {
          EXPECT_EQ(head.position(1), 1);
        }
      }
    }
    const size_t heads = c.layers * c.kv_heads - has_table();
    EXPECT_LE(kept, heads * most + has_table() * cache.length());
    EXPECT_EQ(cache.bytes(), pages * cache.codec(0).page_bytes(c.head_dim));
  };
  check(kBudget);
  const size_t after_prompt = cache.bytes();
  for (size_t t = 260; t < 400; ++t) {
    run->read(cache, std::span(tokens).subspan(t, 1));
    check(kBudget + (always ? 63 : t - 259));
  }
  if (always) {
    EXPECT_LE(cache.bytes(), 2 * after_prompt);
  }
}

// What is left is what the policy was asked to leave: last tokens in a row.
TEST_P(EachKeepMethod, TheWindowStays) {
  const auto run = tiny_model("llama", tight(2, 2));
  const auto tokens = test::random_tokens(260, run->config().vocab, 6);
  kv::SequenceCache cache = run->new_cache();
  run->read(cache, tokens);
  const auto all = defaults(method());
  const size_t window = all.count("recent") || all.count("window") ? 16 : 1;
  for (size_t l = 0; l < 2; ++l) {
    for (size_t h = 0; h < 2; ++h) {
      const kv::HeadCache& head = cache.head(l, h);
      ASSERT_GE(head.length(), window);
      for (size_t i = 0; i < window; ++i) {
        EXPECT_EQ(head.position(head.length() - 1 - i), int32_t(259 - i)) << l << " " << h;
      }
    }
  }
}

std::vector<const Method*> keep_methods() {
  std::vector<const Method*> out;
  for (const Method* m : methods()) {
    if (m->info.stage == Stage::kKeep) out.push_back(m);
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Registry, EachKeepMethod, testing::ValuesIn(keep_methods()),
                         [](const auto& p) { return std::string(p.param->info.name); });

}  // namespace
}  // namespace fathom::engine
