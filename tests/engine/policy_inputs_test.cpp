// What a policy is shown while a model runs: everything that policies ask for beside keys, values
// and queries, against what the model says.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kv/attention_rows.h"
#include "kv/rope.h"
#include "support/tiny_model.h"
#include "text/sentence.h"

namespace fathom::engine {
namespace {

using test::tiny_model;

// Keeps everything but what it is told to drop, and remembers what it was shown.
class Spy final : public kv::KeepPolicy {
 public:
  struct Seen {
    std::vector<float> k, q, q_unrotated, received, surprise;
    std::vector<int32_t> positions;
    kv::RopeView rope;
    size_t first = 0, stride = 0, group = 0, head_dim = 0;
    float scale = 0, soft_cap = 0;
    int32_t window = 0;
  };
  explicit Spy(size_t budget) : budget_(budget) {}
  kv::KeepNeeds needs() const override {
    return {.window = 64, .received = true, .unrotated = true, .surprise = true};
  }
  bool evicts_while_decoding() const override { return true; }
  void select(const kv::KeepView& view, std::span<std::vector<int32_t>> kept) const override {
    for (size_t h = 0; h < view.heads.size(); ++h) {
      const kv::HeadView& head = view.heads[h];
      const kv::QueryView& q = view.queries[h];
      Seen& s = seen[head.layer * view.heads.size() + h];
      const size_t d = head.head_dim;
      s.k.assign(head.k, head.k + head.tokens * d);
      s.positions.assign(head.positions, head.positions + head.tokens);
      s.received.assign(view.received[h], view.received[h] + head.tokens);
      s.surprise.assign(head.text->surprise.begin(), head.text->surprise.end());
      s.rope = *head.rope;
      s.first = q.first, s.group = q.group, s.head_dim = d, s.scale = head.scale;
      s.soft_cap = head.soft_cap, s.window = head.window;
      s.q.clear(), s.q_unrotated.clear();
      for (size_t t = 0; t < q.tokens; ++t) {
        for (size_t g = 0; g < q.group; ++g) {
          s.q.insert(s.q.end(), q.row(t, g, d), q.row(t, g, d) + d);
          s.q_unrotated.insert(s.q_unrotated.end(), q.row_unrotated(t, g, d),
                               q.row_unrotated(t, g, d) + d);
        }
      }
      kept[h].clear();
      for (size_t i = 0; i < head.tokens; ++i) {  // the first half of the budget, and the end
        if (i < budget_ / 2 || i + budget_ / 2 >= head.tokens) {
          kept[h].push_back(static_cast<int32_t>(i));
        }
      }
    }
  }
  mutable std::vector<Seen> seen = std::vector<Seen>(64);

 private:
  size_t budget_;
};

struct Watched {
  std::shared_ptr<const Spy> spy;
  std::unique_ptr<Runner> runner;
  Watched(const std::string& model, size_t budget, size_t batch)
      : spy(std::make_shared<Spy>(budget)) {
    kv::Policy policy = kv::make_policy(kv::parse_policy("store=f32"), kernel::KvFormat::kF32);
    policy.keep = spy;
    runner = tiny_model(model, policy, {.batch = batch});
  }
};

constexpr const char* kModels[] = {"llama", "llama3-rope", "qwen2", "qwen3",
                                   "phi3",  "gemma2",      "gemma3"};

// Rotated again, unrotated queries are what they were. f32 against double: a few ulp.
TEST(PolicyInputs, UnrotatedQueriesRotateBack) {
  for (const char* model : kModels) {
    Watched w(model, 4096, 96);
    kv::SequenceCache cache = w.runner->new_cache();
    w.runner->read(cache, test::random_tokens(150, w.runner->config().vocab, 1));
    const size_t heads = w.runner->config().layers * w.runner->config().kv_heads;
    for (size_t h = 0; h < heads; ++h) {
      const Spy::Seen& s = w.spy->seen[h];
      ASSERT_EQ(s.q.size(), 64 * s.group * s.head_dim) << model;
      ASSERT_GT(s.rope.frequencies.size(), 0u);
      std::vector<float> again(s.head_dim);
      double moved = 0;
      for (size_t row = 0; row < 64 * s.group; ++row) {
        const float* q = &s.q[row * s.head_dim];
        const float* plain = &s.q_unrotated[row * s.head_dim];
        const kv::Rotation rotation(s.rope, double(s.first + row / s.group));
        rotation.apply(plain, s.head_dim, again.data());
        for (size_t c = 0; c < s.head_dim; ++c) {
          ASSERT_NEAR(again[c], q[c], 4e-7 * (1 + std::fabs(q[c]) + std::fabs(plain[c])));
          moved = std::max(moved, std::fabs(double{plain[c]} - q[c]));
        }
      }
      EXPECT_GT(moved, 1e-3);
    }
  }
}

// Rotated to the same position, the same token has the same query in a layer without a past: the
// model's rotation is the one that is undone, not just any.
TEST(PolicyInputs, TheFirstLayersUnrotatedQueriesDependOnTheTokenOnly) {
  for (const char* model : kModels) {
    Watched w(model, 4096, 96);
    kv::SequenceCache cache = w.runner->new_cache();
    w.runner->read(cache, std::vector<int32_t>(100, 7));
    const Spy::Seen& s = w.spy->seen[0];
    for (size_t i = s.group * s.head_dim; i < s.q_unrotated.size(); ++i) {
      const float want = s.q_unrotated[i % (s.group * s.head_dim)];
      ASSERT_NEAR(s.q_unrotated[i], want, 2e-5 * (1 + std::fabs(want))) << model;
    }
  }
}

// Every query gives away a weight of one; those of tokens that were dropped are gone with them.
TEST(PolicyInputs, ReceivedAttentionIsThatOfAllQueries) {
  std::vector<float> want;
  for (const size_t batch : {150, 96, 7, 1}) {
    Watched w("llama", 4096, batch);
    kv::SequenceCache cache = w.runner->new_cache();
    w.runner->read(cache, test::random_tokens(150, w.runner->config().vocab, 2));
    const std::vector<float>& received = w.spy->seen[3].received;
    EXPECT_NEAR(std::accumulate(received.begin(), received.end(), 0.0), 150.0, 150 * 1e-5);
    if (want.empty()) want = received;
    EXPECT_EQ(received, want) << "steps of " << batch;
  }
}

// What every stored token received of all queries, in f64: scores with the model's soft cap, over
// the keys that the layer's window leaves.
std::vector<double> received_by_definition(const Spy::Seen& s, const model::Config& c,
                                           size_t layer) {
  const size_t n = s.positions.size(), d = s.head_dim;
  std::vector<double> out(n), row(n);
  for (size_t q = 0; q < n * s.group; ++q) {
    const size_t last = q / s.group;
    const auto window = static_cast<size_t>(c.window);
    const size_t first = c.windowed(layer) && last >= window ? last + 1 - window : 0;
    double sum = 0;
    for (size_t t = first; t <= last; ++t) {
      double score = 0;
      for (size_t i = 0; i < d; ++i) score += double{s.q[q * d + i]} * s.k[t * d + i];
      score *= s.scale;
      const double cap = c.attention_soft_cap;
      if (cap > 0) score = cap * std::tanh(score / cap);
      sum += row[t] = std::exp(score);
    }
    for (size_t t = first; t <= last; ++t) out[t] += row[t] / sum / double(s.group);
  }
  return out;
}

// A text of 64 tokens, whose queries the policy is all shown; windows of 32.
TEST(PolicyInputs, ReceivedAttentionHasTheModelsWindowsAndSoftCaps) {
  for (const char* model : {"llama", "gemma2", "gemma3"}) {
    Watched w(model, 4096, 17);
    const model::Config& c = w.runner->config();
    kv::SequenceCache cache = w.runner->new_cache();
    w.runner->read(cache, test::random_tokens(64, c.vocab, 2));
    size_t windowed = 0;
    for (size_t layer = 0; layer < c.layers; ++layer) {
      windowed += c.windowed(layer);
      for (size_t h = 0; h < c.kv_heads; ++h) {
        const Spy::Seen& s = w.spy->seen[layer * c.kv_heads + h];
        EXPECT_EQ(s.soft_cap, c.attention_soft_cap);
        EXPECT_EQ(s.window, c.windowed(layer) ? c.window : 0);
        const auto want = received_by_definition(s, c, layer);
        for (size_t t = 0; t < 64; ++t) {
          EXPECT_NEAR(s.received[t], want[t], 1e-5 * (1 + want[t])) << model << " " << layer;
        }
      }
    }
    EXPECT_EQ(windowed > 0, std::string_view(model) != "llama");
  }
}

// Reads everything, and remembers the attention that it was told of.
class PrefillSpy final : public kv::PrefillPolicy {
 public:
  size_t query_block() const override { return kv::kPieceTokens; }
  void select(const kv::PrefillView& view, std::span<kv::RowList> lists) const override {
    for (kv::RowList& list : lists) {
      for (size_t at = 0; at < view.head.tokens; at += kv::kPieceTokens) {
        list.pieces.push_back(static_cast<int32_t>(at));
      }
    }
    if (view.head.kv_head == 0) seen[view.head.layer] = {view.head.soft_cap, view.head.window};
  }
  mutable std::vector<std::pair<float, int32_t>> seen =
      std::vector<std::pair<float, int32_t>>(64, {-1.0f, -1});
};

TEST(PolicyInputs, PrefillIsToldOfWindowsAndSoftCaps) {
  for (const char* model : {"llama", "gemma2", "gemma3"}) {
    const auto spy = std::make_shared<PrefillSpy>();
    kv::Policy policy = kv::make_policy(kv::parse_policy("store=f32"), kernel::KvFormat::kF32);
    policy.prefill = spy;
    const auto runner = tiny_model(model, policy);
    const model::Config& c = runner->config();
    kv::SequenceCache cache = runner->new_cache();
    runner->read(cache, test::random_tokens(64, c.vocab, 2));
    for (size_t layer = 0; layer < c.layers; ++layer) {
      EXPECT_EQ(spy->seen[layer].first, c.attention_soft_cap) << model;
      EXPECT_EQ(spy->seen[layer].second, c.windowed(layer) ? c.window : 0) << model;
    }
  }
}

// After an eviction: what was received before plus what queries gave since, computed afresh.
TEST(PolicyInputs, ReceivedAttentionFollowsEvictions) {
  Watched w("llama", 100, 96);
  const auto tokens = test::random_tokens(150 + 64, w.runner->config().vocab, 2);
  kv::SequenceCache cache = w.runner->new_cache();
  w.runner->read(cache, std::span(tokens).first(150));
  const Spy::Seen before = w.spy->seen[3];
  EXPECT_EQ(cache.head(1, 1).length(), 100u);
  for (size_t t = 150; t < tokens.size(); ++t) {
    w.runner->read(cache, std::span(tokens).subspan(t, 1));
  }
  const Spy::Seen& after = w.spy->seen[3];  // 64 steps later
  ASSERT_EQ(after.positions.size(), 164u);
  std::vector<float> given(164);
  kv::HeadView head;
  head.head_dim = after.head_dim;
  head.tokens = 164;
  head.k = after.k.data();
  head.positions = after.positions.data();
  head.scale = after.scale;
  kv::QueryView queries;
  queries.group = after.group;
  queries.tokens = 64;
  queries.first = after.first;
  queries.stride = after.group * after.head_dim;
  queries.q = after.q.data();
  kv::received_attention(head, queries, given);
  for (size_t i = 0; i < 164; ++i) {
    const size_t old = i < 50 ? i : i + 50;
    const float had = i < 100 ? before.received[old] : 0.0f;
    EXPECT_NEAR(after.received[i], had + given[i], 1e-4) << i;
    EXPECT_GE(after.received[i], had) << i;
  }
}

double surprise(std::span<const float> logits, int32_t id) {
  double sum = 0;
  for (const float l : logits) sum += std::exp(double{l});
  return std::log(sum) - logits[size_t(id)];
}

// -log p of every token, from a plain pass's logits; in any cut, beside others, and written ones.
TEST(PolicyInputs, SurpriseIsThatOfAPlainPass) {
  for (const char* model : {"llama", "gemma2", "qwen3"}) {
    const auto plain = tiny_model(model, "", {.batch = 230});
    const size_t vocab = plain->config().vocab;
    const auto tokens = test::random_tokens(230, vocab, 3);
    kv::SequenceCache one = plain->new_cache();
    const StepPart all{&one, tokens, Outputs::kAll};
    const std::span<const float> logits = plain->step({&all, 1});
    for (const size_t batch : {150, 64, 7, 1}) {
      Watched w(model, 4096, batch);
      kv::SequenceCache cache = w.runner->new_cache();
      w.runner->read(cache, std::span(tokens).first(150));
      for (size_t t = 150; t < 230; ++t) w.runner->read(cache, std::span(tokens).subspan(t, 1));
      const std::vector<float>& got = cache.text().surprise;
      ASSERT_EQ(got.size(), 230u);
      EXPECT_EQ(got[0], 0.0f);
      for (size_t t = 1; t < 230; ++t) {
        const double want = surprise(logits.subspan((t - 1) * vocab, vocab), tokens[t]);
        ASSERT_NEAR(got[t], want, 1e-4) << model << " token " << t << " in steps of " << batch;
      }
      EXPECT_EQ(w.spy->seen[0].surprise.size(), 214u);  // when last asked
    }
  }
}

TEST(PolicyInputs, AskingForSurpriseLeavesTheLogitsAsTheyAre) {
  Watched w("llama", 4096, 96);
  const auto plain = tiny_model("llama", "");
  const size_t vocab = plain->config().vocab;
  const auto a = test::random_tokens(40, vocab, 4), b = test::random_tokens(9, vocab, 5),
             c = test::random_tokens(17, vocab, 6);
  const auto step = [&](Runner& runner) {
    std::vector<kv::SequenceCache> caches;
    for (int i = 0; i < 3; ++i) caches.push_back(runner.new_cache());
    const StepPart parts[] = {{&caches[0], a, Outputs::kNone},
                              {&caches[1], b, Outputs::kAll},
                              {&caches[2], c, Outputs::kLast}};
    const std::span<const float> logits = runner.step(parts);
    return std::vector<float>(logits.begin(), logits.end());
  };
  const std::vector<float> want = step(*plain);
  ASSERT_EQ(want.size(), 10 * vocab);
  EXPECT_EQ(step(*w.runner), want);
}

// Ends are those of the whole text, wherever it is cut into steps; late ones are missing only
// because nothing follows them yet.
TEST(PolicyInputs, SentenceEndsDoNotDependOnSteps) {
  const std::string words[] = {" The", " cat", " sat.", " It",    " was", " 3.14", " Dr.",  " Who",
                               "?\"",  "\n\n", " U.S.", " Navy!", " and", " so",   " on..", " 1."};
  kv::Policy policy = kv::make_policy(kv::parse_policy("fetch=sentence"), kernel::KvFormat::kF32);
  const TextReader reader(policy, [&](int32_t id) { return words[size_t(id) % 16]; });
  const auto tokens = test::random_tokens(3000, 16, 7);
  kv::KnownText whole;
  reader.before(whole, tokens);
  EXPECT_GT(whole.sentence_ends.size(), 300u);
  EXPECT_GT(whole.sentence_ends.back(), 2980);
  for (const size_t step : {1u, 2u, 13u, 512u}) {
    kv::KnownText cut;
    for (size_t at = 0; at < tokens.size(); at += step) {
      reader.before(cut, std::span(tokens).subspan(at, std::min(step, tokens.size() - at)));
    }
    EXPECT_EQ(cut.sentence_ends, whole.sentence_ends) << "steps of " << step;
  }
  // The splitter's own ends, but for a token that begins with the blank before it.
  std::string text;
  std::vector<size_t> token_ends;
  for (const int32_t id : tokens) token_ends.push_back((text += words[size_t(id)]).size());
  std::vector<size_t> ends = text::sentence_ends(text);
  for (size_t& e : ends) {
    while (e > 0 && std::isspace(static_cast<unsigned char>(text[e - 1]))) --e;
  }
  std::vector<int32_t> want = text::sentence_token_ends(ends, token_ends);
  want.resize(whole.sentence_ends.size());
  EXPECT_EQ(whole.sentence_ends, want);
}

TEST(PolicyInputs, TextWithoutEndsIsCut) {
  kv::Policy policy = kv::make_policy(kv::parse_policy("fetch=sentence"), kernel::KvFormat::kF32);
  const TextReader reader(policy, [](int32_t) { return std::string("x,"); });
  const std::vector<int32_t> tokens(1000);
  kv::KnownText whole, steps;
  reader.before(whole, tokens);
  EXPECT_EQ(whole.sentence_ends, (std::vector<int32_t>{256, 512, 768}));
  for (size_t t = 0; t < tokens.size(); ++t) reader.before(steps, std::span(tokens).first(1));
  EXPECT_EQ(steps.sentence_ends, whole.sentence_ends);
}

TEST(PolicyInputs, WithoutATokenizerSentencesAreRefused) {
  EXPECT_THROW(tiny_model("llama", "fetch=sentence", {.token_text = nullptr}), Error);
}

}  // namespace
}  // namespace fathom::engine
