// What holds for every prefill method on a model: the registry is walked, with the small reference
// models. Lists by themselves: tests/kv/prefill/universal_test.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/error.h"
#include "engine/runner.h"
#include "support/method_lines.h"
#include "support/shared_data.h"

namespace fathom::engine {
namespace {

struct Options {
  int threads = 2;
  size_t batch = 96;
};

std::unique_ptr<Runner> load(const std::string& model, const std::string& kv,
                             const Options& options = {}) {
  auto pool = ThreadPool::shared(options.threads);
  const auto checkpoint = std::make_shared<const file::Checkpoint>(
      file::Checkpoint::open(test::reference("logits/" + model + ".gguf")));
  auto weights = model::Model::load(checkpoint, *pool);
  const kernel::Kernels& kernels = kernel::default_kernels();
  return std::make_unique<Runner>(
      weights, pool, kernels, kv::make_policy(kv::parse_policy(kv), kernels.native_kv),
      RunnerOptions{.context = 4096, .batch_tokens = options.batch, .kv_bytes = size_t{64} << 20});
}

std::vector<TokenId> tokens(size_t n, size_t vocab) {
  std::mt19937_64 rng(1);
  std::vector<TokenId> out(n);
  for (TokenId& id : out) id = static_cast<TokenId>(rng() % vocab);
  return out;
}

using Logits = std::vector<float>;

// The last token's logits of a prompt that arrives in the given pieces, each read as a chunk.
Logits read(Runner& runner, std::span<const TokenId> prompt, std::span<const size_t> pieces = {}) {
  kv::SequenceCache cache = runner.new_cache();
  std::span<const float> logits;
  for (const size_t piece : pieces) {
    logits = runner.read(cache, prompt.first(piece));
    prompt = prompt.subspan(piece);
  }
  if (!prompt.empty()) logits = runner.read(cache, prompt);
  return {logits.begin(), logits.end()};
}

class EveryPrefillOnAModel : public testing::TestWithParam<const kv::Method*> {
 protected:
  const kv::MethodInfo& info() const { return GetParam()->info; }
  std::string with(std::string_view parameters) const {
    return fmt::format("prefill={}({}) store=f32", info().name, parameters);
  }
  std::string lean() const { return test::MethodLines(1, 1).tight(*GetParam()) + " store=f32"; }
};

// U1: nothing left out is dense attention: bit for bit where whole pages are listed, within 1e-4
// where keys were gathered and add up in another order. For families with grouped heads, sliding
// windows, soft caps and odd head sizes; prompts in one chunk or several; slices of any size.
TEST_P(EveryPrefillOnAModel, FullBudgetIsDense) {
  for (const char* model : {"llama", "gemma2", "phi3"}) {
    const auto dense = load(model, "store=f32");
    const auto prompt = tokens(300, dense->config().vocab);
    const Logits want = read(*dense, prompt);
    for (const size_t batch : {size_t{7}, size_t{96}, size_t{512}}) {
      const auto runner = load(model, with(info().exact), {2, batch});
      EXPECT_GE(runner->step_tokens(), prompt.size());
      const size_t pieces[] = {1, 63, 129};
      for (const size_t used : {0, 3}) {
        const std::span<const size_t> split(pieces, used);
        const Logits got = read(*runner, prompt, split);
        double worst = 0;
        for (size_t i = 0; i < want.size(); ++i) {
          worst = std::max(worst, std::fabs(double{got[i]} - want[i]));
        }
        EXPECT_LE(worst, 1e-4) << model << ", batch " << batch << ", pieces " << split.size();
      }
    }
  }
}

// U2: what comes later changes no bit of what was read, as long as it comes in a later chunk:
// within one, later queries take part in deciding.
TEST_P(EveryPrefillOnAModel, LaterChunksChangeNothing) {
  const auto runner = load("llama", lean());
  auto prompt = tokens(400, runner->config().vocab);
  const size_t piece[] = {250};
  const Logits want = read(*runner, std::span(prompt).first(250), piece);
  kv::SequenceCache cache = runner->new_cache();
  const auto first = runner->read(cache, std::span(prompt).first(250));
  EXPECT_EQ(Logits(first.begin(), first.end()), want);
  runner->read(cache, std::span(prompt).subspan(250));
  cache.truncate(250);
  const Logits again = read(*runner, std::span(prompt).first(250));
  EXPECT_EQ(again, want);
}

// U5: prompts of every raggedness end in numbers, and leave something out once they are long.
TEST_P(EveryPrefillOnAModel, RaggedLengthsAndChunks) {
  const auto runner = load("qwen2", lean());
  for (const size_t n : {1, 2, 63, 64, 65, 127, 128, 129, 600}) {
    const auto prompt = tokens(n, runner->config().vocab);
    runner->attender().reset_account();
    const Logits one = read(*runner, prompt);
    if (n == 600) {
      EXPECT_LT(runner->attender().account().density(), 0.95);
    }
    const size_t odd[] = {n / 3, n - n / 3};
    const Logits two = read(*runner, prompt, n < 3 ? std::span<const size_t>() : std::span(odd));
    for (size_t i = 0; i < one.size(); ++i) {
      ASSERT_TRUE(std::isfinite(one[i])) << n;
      ASSERT_TRUE(std::isfinite(two[i])) << n;
    }
  }
}

// Neither threads nor slices of a step change a bit.
TEST_P(EveryPrefillOnAModel, ThreadsChangeNothing) {
  Logits want;
  for (const Options& options : {Options{1, 512}, Options{3, 512}, Options{2, 33}}) {
    const auto runner = load("llama", lean(), options);
    const Logits got = read(*runner, tokens(500, runner->config().vocab));
    if (want.empty()) want = got;
    EXPECT_EQ(got, want) << options.threads << " threads, batch " << options.batch;
  }
}

// Sealed pages and formats that attention rounds: a full budget stays near dense.
TEST_P(EveryPrefillOnAModel, EveryStoreIsRead) {
  for (const char* store : {"bf16", "f16", "q8(tail=0)", "k4v4(tail=0)"}) {
    const std::string line =
        fmt::format("prefill={}({}) store={}", info().name, info().exact, store);
    // In steps as long as the policy's: pages are sealed between steps.
    const auto dense = load("llama", fmt::format("store={}", store), {2, 512});
    const auto runner = load("llama", line);
    const auto prompt = tokens(300, dense->config().vocab);
    const size_t pieces[] = {200};  // what is sealed is read by the second
    const Logits want = read(*dense, prompt, pieces), got = read(*runner, prompt, pieces);
    double difference = 0, size = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      difference += std::pow(double{got[i]} - want[i], 2);
      size += std::pow(double{want[i]}, 2);
    }
    // Gathered keys of coded pages are rounded once more, to the plain format's 8 bits at worst.
    EXPECT_LT(std::sqrt(difference / size), 1.0 / 256) << store;
  }
}

std::vector<const kv::Method*> methods() {
  std::vector<const kv::Method*> out;
  for (const kv::Method& m : kv::all_methods()) {
    if (m.prefill && m.info.name != "dense") out.push_back(&m);
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryPrefillOnAModel, testing::ValuesIn(methods()),
                         [](const auto& param) { return std::string(param.param->info.name); });

}  // namespace
}  // namespace fathom::engine
