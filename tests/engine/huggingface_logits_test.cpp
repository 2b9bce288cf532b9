// The reference models as Hugging Face folders: names, row order, norms and keys are right where
// the logits are.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/runner.h"
#include "support/hf_export.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace fathom::engine {
namespace {

struct Case {
  const char* model;
  const char* logits;
  double tolerance;  // as reference_logits_test.cpp has them for the GGUF files
};
// llama3-rope's divisors are made up, so no config.json gives them.
constexpr Case kCases[] = {{"llama", "llama", 1e-4},
                           {"qwen2", "qwen2", 1e-4},
                           {"qwen3", "qwen3", 2e-2},
                           {"phi3", "phi3", 1e-4},
                           {"gemma2", "gemma2-f32-gelu", 2e-3}};

class HuggingFaceLogits : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Models, HuggingFaceLogits, testing::ValuesIn(kCases),
                         [](const auto& c) { return std::string(c.param.model); });

TEST_P(HuggingFaceLogits, AreThoseOfTheGguf) {
  test::TempDir dir;
  const std::string stem = test::reference("logits/");
  test::export_huggingface(file::Checkpoint::open(stem + GetParam().model + ".gguf"), dir.path());
  const auto manifest = nlohmann::json::parse(test::read_file(stem + "manifest.json"));
  const auto prompt = manifest[GetParam().model]["prompt"].get<std::vector<TokenId>>();
  const auto want = test::read_floats(stem + GetParam().logits + ".logits.f32");

  auto pool = ThreadPool::shared(2);
  const auto checkpoint =
      std::make_shared<const file::Checkpoint>(file::Checkpoint::open(dir.path()));
  const auto model = model::Model::load(checkpoint, *pool);
  const kernel::Kernels& kernels = kernel::scalar_kernels();
  Runner runner(model, pool, kernels,
                kv::make_policy(kv::parse_policy("store=f32"), kernels.native_kv),
                RunnerOptions{.context = 4096, .batch_tokens = 96, .kv_bytes = size_t{64} << 20});
  kv::SequenceCache cache = runner.new_cache();
  const StepPart part{&cache, prompt, Outputs::kAll};
  const std::span<const float> logits = runner.step({&part, 1});
  ASSERT_EQ(logits.size(), want.size());
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    worst = std::max(worst, std::fabs(double{logits[i]} - want[i]));
  }
  EXPECT_LE(worst, GetParam().tolerance);
}

}  // namespace
}  // namespace fathom::engine
