// RoPE scaling of every kind against llama.cpp's logits of the same changed files.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "engine/runner.h"
#include "file/gguf_writer.h"
#include "support/shared_data.h"

namespace fathom::engine {
namespace {

struct Variant {
  const char* name;
  const char* model;
  const char* scaling;  // null: not set
  double factor;        // 0: not set
  int64_t original_context;
  double magnitude;  // 0: not set
  bool factors;      // with long-rope factor tensors
};
constexpr Variant kVariants[] = {
    {"yarn", "qwen2", "yarn", 4.0, 64, 0, false},
    {"linear", "llama", "linear", 3.0, 0, 0, false},
    {"long", "phi3", nullptr, 0, 128, 1.19, true},
    {"short", "phi3", nullptr, 0, 2048, 1.19, true},
};

// The model's file with the variant's metadata and tensors.
std::string write_variant(const Variant& v) {
  const auto from = file::Checkpoint::open(test::reference(fmt::format("logits/{}.gguf", v.model)));
  const std::string path = testing::TempDir() + "rope-" + v.name + ".gguf";
  file::GgufWriter out(path);
  for (const auto& [key, value] : from.metadata().all()) out.set(key, value);
  const std::string prefix =
      from.metadata().require_text("general.architecture") + ".rope.scaling.";
  if (v.scaling) out.set(prefix + "type", std::string(v.scaling));
  if (v.factor > 0) out.set(prefix + "factor", v.factor);
  if (v.original_context > 0) out.set(prefix + "original_context_length", v.original_context);
  if (v.magnitude > 0) out.set(prefix + "attn_factor", v.magnitude);
  for (const file::TensorView& t : from.tensors()) out.add_tensor(t.name, t.type, t.shape);
  std::vector<float> long_factors, short_factors;
  for (int i = 0; i < 16; ++i) {
    long_factors.push_back(1 + 0.5f * float(i));
    short_factors.push_back(1 + 0.05f * float(i));
  }
  if (v.factors) {
    out.add_tensor("rope_factors_long.weight", TensorType::kF32, {16});
    out.add_tensor("rope_factors_short.weight", TensorType::kF32, {16});
  }
  for (const file::TensorView& t : from.tensors()) out.write(t.data);
  if (v.factors) {
    out.write(std::as_bytes(std::span(long_factors)));
    out.write(std::as_bytes(std::span(short_factors)));
  }
  out.finish();
  return path;
}

TEST(RopeVariants, EqualTheReference) {
  const auto manifest =
      nlohmann::json::parse(test::read_file(test::reference("logits/manifest.json")));
  const kernel::Kernels& kernels = kernel::default_kernels();
  for (const Variant& v : kVariants) {
    const std::string path = write_variant(v);
    const auto pool = ThreadPool::shared(2);
    auto model = model::Model::load(
        std::make_shared<const file::Checkpoint>(file::Checkpoint::open(path)), *pool);
    Runner runner(model, pool, kernels,
                  kv::make_policy(kv::parse_policy("store=f32"), kernels.native_kv),
                  RunnerOptions{.context = 512, .batch_tokens = 96, .kv_bytes = size_t{16} << 20});
    const auto prompt = manifest[v.model]["prompt"].get<std::vector<TokenId>>();
    kv::SequenceCache cache = runner.new_cache();
    const StepPart part{&cache, prompt, Outputs::kAll};
    const std::span<const float> got = runner.step({&part, 1});
    const auto want =
        test::read_floats(test::reference(fmt::format("logits/rope-{}.logits.f32", v.name)));
    ASSERT_EQ(got.size(), want.size());
    double worst = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      worst = std::max(worst, std::fabs(double{got[i]} - want[i]));
    }
    EXPECT_LE(worst, 1e-4) << v.name;
    std::filesystem::remove(path);
  }
}

}  // namespace
}  // namespace fathom::engine
