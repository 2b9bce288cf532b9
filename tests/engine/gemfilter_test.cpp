// GemFilter on a model: what the first layers choose, and that the model then reads exactly that.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "engine/recorder.h"
#include "engine/session.h"
#include "eval/haystack.h"
#include "eval/perplexity.h"
#include "support/shared_data.h"

namespace fathom::engine {
namespace {

std::shared_ptr<Engine> load(const std::string& kv, size_t batch = 128) {
  ModelOptions options;
  options.threads = 2;
  options.context = 2048;
  options.kv = kv + " store=f32";
  options.batch = batch;
  options.explain = true;
  return Engine::load(test::bundled_model(), options);
}

std::vector<TokenId> prompt_of(const Engine& engine, size_t characters, uint64_t seed = 1) {
  return engine.tokenizer().encode(
      eval::make_haystack({.seed = seed, .characters = characters, .facts = 1}).text);
}

using Logits = std::vector<float>;

Logits read(Runner& runner, kv::SequenceCache& cache, std::span<const TokenId> tokens) {
  const auto logits = runner.read(cache, tokens);
  return {logits.begin(), logits.end()};
}

Logits read(Engine& engine, std::span<const TokenId> tokens) {
  kv::SequenceCache cache = engine.runner().new_cache();
  return read(engine.runner(), cache, tokens);
}

// Whatever it is cut into, a text within the budget is read as ever.
TEST(GemFilterOnAModel, ABudgetForAllIsDense) {
  const auto dense = load(""), filter = load("prefill=gemfilter(budget=4096)");
  const auto tokens = prompt_of(*dense, 2000);
  EXPECT_EQ(read(*dense, tokens), read(*filter, tokens));
}

// The choice is that of a dense run's queries and keys in this layer, and what the model reads are
// these tokens and nothing else: the same logits as a prompt of them.
TEST(GemFilterOnAModel, ReadsWhatTheLayerChooses) {
  const auto dense = load("");
  const auto tokens = prompt_of(*dense, 3000);
  const model::Config& c = dense->model().config();
  for (const size_t layer : {size_t{0}, size_t{2}, c.layers - 1}) {
    const auto engine =
        load(fmt::format("prefill=gemfilter(budget=200,layer={},first=1,last=8)", layer), 96);
    kv::SequenceCache cache = engine->runner().new_cache();
    const Logits got = read(engine->runner(), cache, tokens);

    const size_t layers[] = {layer};
    const RecordedLayer recorded = record_layers(dense->runner(), tokens, layers)[0];
    std::vector<double> sums(tokens.size());
    const size_t d = c.head_dim, group = c.heads / c.kv_heads;
    for (size_t h = 0; h < c.heads; ++h) {
      const float* q = recorded.q.data() + ((tokens.size() - 1) * c.heads + h) * d;
      for (size_t t = 0; t < tokens.size(); ++t) {
        const float* k = recorded.k.data() + (t * c.kv_heads + h / group) * d;
        for (size_t i = 0; i < d; ++i) sums[t] += double{q[i]} * k[i];
      }
    }
    const auto want =
        kv::gemfilter_tokens(kv::gemfilter_scores(sums), {.budget = 200, .first = 1, .last = 8});
    EXPECT_EQ(cache.text().chosen.places, want) << "layer " << layer;
    EXPECT_EQ(cache.length(), 200u);
    EXPECT_EQ(cache.text_length(), tokens.size());
    std::vector<TokenId> chosen;
    for (const int32_t place : want) chosen.push_back(tokens[size_t(place)]);
    EXPECT_EQ(got, read(*dense, chosen)) << "layer " << layer;
  }
}

// Positions behind the choice go on without a gap; places in the text do not forget it.
TEST(GemFilterOnAModel, KnowsWhereItsTokensStoodInTheText) {
  const auto engine = load("prefill=gemfilter(budget=100)");
  const auto tokens = prompt_of(*engine, 3000);
  kv::SequenceCache cache = engine->runner().new_cache();
  engine->runner().read(cache, tokens);
  engine->runner().read(cache, {tokens.data(), 1});
  EXPECT_EQ(cache.length(), 101u);
  EXPECT_EQ(cache.text_length(), tokens.size() + 1);
  EXPECT_EQ(cache.text_place(0), 0);
  EXPECT_EQ(cache.text_place(99), int32_t(tokens.size()) - 1);
  EXPECT_EQ(cache.text_place(100), int32_t(tokens.size()));
  EXPECT_FALSE(engine->runner().can_rewind(cache));
  cache.truncate(0);
  EXPECT_EQ(cache.text_length(), 0u);
}

// The pages of the first reading are given back.
TEST(GemFilterOnAModel, HoldsOnlyWhatItChose) {
  const auto engine = load("prefill=gemfilter(budget=128,layer=1)");
  const auto tokens = prompt_of(*engine, 4000);
  kv::SequenceCache cache = engine->runner().new_cache();
  engine->runner().read(cache, tokens);
  const model::Config& c = engine->model().config();
  const size_t all = c.layers * c.kv_heads * c.head_dim * 2 * 4;  // bytes a token
  EXPECT_EQ(engine->runner().pages().stats().used_bytes, 128 * all);
  const size_t peak = engine->runner().pages().stats().peak_bytes;
  EXPECT_LE(peak, (tokens.size() + 64) * all * 2 / c.layers) << "two layers of the whole";
}

// A later turn is about the whole text: it reads what a prompt of all of it would have read.
TEST(GemFilterOnAModel, ALaterTurnChoosesFromTheWholeText) {
  const auto engine = load("prefill=gemfilter(budget=200)");
  const auto text = prompt_of(*engine, 3000), more = prompt_of(*engine, 300, 2);
  std::vector<TokenId> whole = text;
  whole.insert(whole.end(), more.begin(), more.end());
  GenerateOptions options;
  options.max_tokens = 8;
  Session session(engine), fresh(engine);
  session.feed(text);
  session.feed(more);
  fresh.feed(whole);
  EXPECT_EQ(session.tokens(), whole);
  const Reply reply = session.generate(options, {});
  EXPECT_EQ(reply.text, fresh.generate(options, {}).text);
  const auto choice = reply.account->choice;
  EXPECT_EQ(choice.text, whole.size());
  EXPECT_EQ(choice.chosen, 200u);
  double of = 0, chosen = 0;
  for (const AccountShare& range : choice.ranges) of += range.whole, chosen += range.part;
  EXPECT_EQ(of, double(whole.size()));
  EXPECT_EQ(chosen, 200);
  EXPECT_EQ(choice.ranges.back().value(), 1.0) << "the prompt's end is forced";
  // A changed beginning is a new prompt.
  EXPECT_TRUE(session.rewrite(text));
  EXPECT_EQ(session.tokens(), text);
}

// Two of five layers read everything, in pairs of queries and keys, and a tenth of it all.
TEST(GemFilterOnAModel, ThePriceIsBothReadings) {
  const auto engine = load("prefill=gemfilter(budget=100,layer=2)");
  const auto tokens = prompt_of(*engine, 4000);
  Session session(engine);
  session.feed(tokens);
  GenerateOptions options;
  options.max_tokens = 1;
  const Reply reply = session.generate(options, {});
  const auto pairs = [](double n) { return n * (n + 1) / 2; };
  const double layers = double(engine->model().config().layers), n = double(tokens.size());
  EXPECT_NEAR(reply.price.prompt_read, 2 / layers + pairs(100) / pairs(n), 1e-9);
  EXPECT_EQ(reply.price.prompt_tokens, tokens.size());
}

TEST(GemFilterOnAModel, OtherMethodsCanReadForIt) {
  double density[2];
  for (const size_t sparse : {0, 1}) {
    const auto engine = load(fmt::format("prefill=gemfilter(budget=100,layer=2,reader={})",
                                         sparse == 1 ? "xattention" : "dense"));
    const auto tokens = prompt_of(*engine, 4000);
    kv::SequenceCache cache = engine->runner().new_cache();
    engine->runner().read(cache, tokens);
    EXPECT_EQ(cache.length(), 100u);
    density[sparse] = engine->runner().attender().account().density();
  }
  EXPECT_LT(density[1], 0.9 * density[0]);
}

TEST(GemFilterOnAModel, AnEarlyEndLeavesNothing) {
  const auto engine = load("prefill=gemfilter(budget=300)");
  const auto tokens = prompt_of(*engine, 4000);
  for (const std::string_view phase : {"choosing", "reading"}) {
    Session session(engine);
    const bool complete = session.feed(
        tokens, [&](const ProgressUpdate& u) { return u.phase != phase || u.done == u.total; });
    EXPECT_FALSE(complete) << phase;
    EXPECT_TRUE(session.tokens().empty()) << phase;
    EXPECT_THROW(session.generate({}, {}), Error) << phase;
    EXPECT_TRUE(session.feed(tokens)) << phase;
  }
}

TEST(GemFilterOnAModel, RefusesLayersThatCannotChoose) {
  const auto message = [](size_t layer) -> std::string {
    ModelOptions options;
    options.threads = 2;
    options.kv = fmt::format("prefill=gemfilter(layer={})", layer);
    try {
      Engine::load(test::reference("logits/gemma2.gguf"), options);
    } catch (const Error& e) {
      return std::string(e.what()) + "; " + e.hint();
    }
    return "";
  };
  const auto has = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(message(99), "layer 99 of a model with")) << message(99);
  EXPECT_TRUE(has(message(0), "only looks back")) << message(0);
  EXPECT_TRUE(has(message(0), "sees the whole text is 1")) << message(0);
  EXPECT_EQ(message(1), "");
}

TEST(GemFilterOnAModel, TheStreamingProtocolIsRefused) {
  const auto engine = load("prefill=gemfilter(budget=100)");
  const auto tokens = prompt_of(*engine, 1000);
  EXPECT_THROW(eval::stream_perplexity(*engine, tokens, 64), Error);
  EXPECT_GT(eval::perplexity(*engine, tokens, tokens.size()).value, 1.0);
}

}  // namespace
}  // namespace fathom::engine
