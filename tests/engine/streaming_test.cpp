// Endless text in constant memory: keep=streaming on a model.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "engine/engine.h"
#include "engine/recorder.h"
#include "kv/rope.h"
#include "support/shared_data.h"
#include "support/tiny_model.h"

namespace fathom::engine {
namespace {

using test::tiny_model;

// Everything that a model's attention got and gave, in one layer.
struct Watch {
  std::unique_ptr<Runner> runner;
  kv::SequenceCache cache;
  LayerRecorder recorder;

  Watch(const std::string& model, const std::string& line, std::span<const size_t> layers)
      : runner(tiny_model(model, line)),
        cache(runner->new_cache()),
        recorder(runner->config(), layers, RecordOutput::kYes) {
    runner->observe(&recorder);
  }

  void write(std::span<const TokenId> tokens) {
    for (const TokenId id : tokens) {
      const StepPart part{&cache, {&id, 1}, Outputs::kNone};
      runner->step({&part, 1});
    }
  }
};

// The output of the last token by the authors' definition: the kept keys, before rotation, at the
// positions of their cache slots, and the query at the last slot.
std::vector<double> slot_output(const Watch& w, const RecordedLayer& layer, size_t head) {
  const model::Config& c = w.runner->config();
  const size_t d = c.head_dim, kv_head = head / (c.heads / c.kv_heads);
  const kv::HeadCache& kept = w.cache.head(layer.layer, kv_head);
  const model::Rope rope(c.rope, w.runner->options().context);
  const kv::RopeView view{rope.frequencies(), rope.magnitude(), c.rope.style};
  const auto place = [&](const float* x, size_t from, size_t to) {
    std::vector<float> out(d);
    kv::Rotation::inverse(view, double(from)).apply(x, d, out.data());
    kv::Rotation(view, double(to)).apply(out.data(), d, out.data());
    return out;
  };
  const size_t last = w.cache.length() - 1, n = kept.length();
  const auto q = place(layer.q.data() + (last * c.heads + head) * d, last, n - 1);
  std::vector<double> out(d), weights(n);
  double top = -1e300, sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const auto at = static_cast<size_t>(kept.position(i));
    const auto k = place(layer.k.data() + (at * c.kv_heads + kv_head) * d, at, i);
    for (size_t x = 0; x < d; ++x) weights[i] += double{q[x]} * k[x];
    weights[i] *= layer.scale;
    top = std::max(top, weights[i]);
  }
  for (double& weight : weights) sum += weight = std::exp(weight - top);
  for (size_t i = 0; i < n; ++i) {
    const auto at = static_cast<size_t>(kept.position(i));
    for (size_t x = 0; x < d; ++x) {
      out[x] += weights[i] / sum * layer.v[(at * c.kv_heads + kv_head) * d + x];
    }
  }
  return out;
}

// |engine - definition| / |definition| of the last token, over all layers and heads.
double distance_from_slots(const std::string& model, const std::string& line, size_t tokens) {
  const size_t layers[] = {0, 1};
  Watch w(model, line, layers);
  w.write(test::random_tokens(tokens, w.runner->config().vocab, 3));
  const model::Config& c = w.runner->config();
  EXPECT_LT(w.cache.head(0, 0).length(), tokens) << "nothing was dropped";
  double off = 0, size = 0;
  for (const RecordedLayer& layer : w.recorder.take()) {
    for (size_t h = 0; h < c.heads; ++h) {
      const auto want = slot_output(w, layer, h);
      const float* got = layer.out.data() + ((tokens - 1) * c.heads + h) * c.head_dim;
      for (size_t x = 0; x < c.head_dim; ++x) {
        off += (got[x] - want[x]) * (got[x] - want[x]);
        size += want[x] * want[x];
      }
    }
  }
  return std::sqrt(off / size);
}

TEST(Streaming, MovedSinksAreTheAuthorsCacheSlots) {
  // The others have windows of their own.
  for (const char* model : {"llama", "llama3-rope", "qwen2", "qwen3"}) {
    const std::string keep = "keep=streaming(sinks=4,recent=60,positions=";
    EXPECT_LT(distance_from_slots(model, keep + "slots)", 700), 1e-5) << model;
    EXPECT_GT(distance_from_slots(model, keep + "text)", 700), 1e-4)
        << model << ": where sinks stay in the text is something else";
  }
}

// A store whose keys are turned among themselves: the sinks move in the model's frame all the same.
// 16-bit keys and values, each off by 2^-11 of itself, move scores and outputs by about as much.
TEST(Streaming, SinksMoveUnderAStoreWithAFrame) {
  const std::string keep = "keep=streaming(sinks=4,recent=60,positions=";
  const std::string store = ") store=rotate4(tail=4096)";
  EXPECT_LT(distance_from_slots("llama", keep + "slots" + store, 700), 8 * std::ldexp(1.0, -11));
  EXPECT_GT(distance_from_slots("llama", keep + "text" + store, 700), 16 * std::ldexp(1.0, -11));
}

TEST(Streaming, ShortTextsAreDense) {
  const auto logits = [](const std::string& line) {
    const auto runner = tiny_model("llama", line);
    kv::SequenceCache cache = runner->new_cache();
    const auto out = runner->read(cache, test::random_tokens(250, runner->config().vocab, 5));
    return std::vector<float>(out.begin(), out.end());
  };
  EXPECT_EQ(logits("keep=streaming(sinks=4,recent=252,positions=slots)"), logits("keep=all"));
}

// A fork moves its own copy of shared sinks.
TEST(Streaming, AForkLeavesItsParentsSinks) {
  const auto runner = tiny_model("llama", "keep=streaming(sinks=70,recent=58,positions=slots)");
  const auto tokens = test::random_tokens(900, runner->config().vocab, 7);
  const auto read = [&](kv::SequenceCache& cache, size_t first, size_t n) {
    const auto out = runner->read(cache, std::span(tokens).subspan(first, n));
    return std::vector<float>(out.begin(), out.end());
  };
  kv::SequenceCache alone = runner->new_cache(), parent = runner->new_cache();
  read(alone, 0, 300);
  const auto want = read(alone, 300, 200);
  read(parent, 0, 300);
  kv::SequenceCache fork = parent.fork();
  read(fork, 500, 400);
  EXPECT_EQ(read(parent, 300, 200), want);
}

TEST(Streaming, MemoryStaysWhatItIs) {
  for (const char* store : {"f32", "k8v4"}) {
    const auto runner = tiny_model(
        "llama", std::string("keep=streaming(sinks=4,recent=124,positions=slots) store=") + store);
    kv::SequenceCache cache = runner->new_cache();
    const auto tokens = test::random_tokens(4000, runner->config().vocab, 9);
    runner->read(cache, std::span(tokens).first(800));
    const size_t peak = runner->pages().stats().peak_bytes;
    runner->read(cache, std::span(tokens).subspan(800, 2400));
    for (size_t at = 3200; at < 4000; ++at) {
      runner->read(cache, std::span(tokens).subspan(at, 1));
      ASSERT_LE(cache.head(0, 0).length(), 128u + 63) << at;
    }
    EXPECT_EQ(runner->pages().stats().peak_bytes, peak) << store;
  }
}

TEST(Streaming, AContextBeyondMemoryIsAllowedWhereTheCacheIsBounded) {
  ModelOptions options;
  options.threads = 2;
  options.context = 1000000;
  options.kv_bytes = size_t{4} << 20;
  options.batch = 128;
  EXPECT_THROW(Engine::load(test::bundled_model(), options), Error);
  options.kv = "keep=streaming(sinks=4,recent=508,positions=slots)";
  const auto engine = Engine::load(test::bundled_model(), options);
  EXPECT_EQ(engine->context(), 1000000u);
  kv::SequenceCache cache = engine->runner().new_cache();
  const std::vector<TokenId> tokens(10000, 42);
  for (const float x : engine->runner().read(cache, tokens)) ASSERT_TRUE(std::isfinite(x));
  options.kv_bytes = size_t{256} << 10;
  EXPECT_THROW(Engine::load(test::bundled_model(), options), Error) << "the window has to fit";
}

}  // namespace
}  // namespace fathom::engine
