#include "support/tiny_model.h"

#include <map>
#include <random>

#include "support/shared_data.h"

namespace fathom::test {

std::string TinyOptions::sentences_of_five(int32_t id) { return id % 5 == 0 ? " End." : " word"; }

namespace {

// Loaded once.
std::shared_ptr<const model::Model> weights(const std::string& name, ThreadPool& pool) {
  static std::map<std::string, std::shared_ptr<const model::Model>> loaded;
  std::shared_ptr<const model::Model>& model = loaded[name];
  if (model) return model;
  const auto checkpoint = std::make_shared<const file::Checkpoint>(
      file::Checkpoint::open(reference("logits/" + name + ".gguf")));
  return model = model::Model::load(checkpoint, pool);
}

}  // namespace

std::unique_ptr<engine::Runner> tiny_model(const std::string& name, kv::Policy policy,
                                           const TinyOptions& options) {
  auto pool = ThreadPool::shared(options.threads);
  return std::make_unique<engine::Runner>(weights(name, *pool), pool, kernel::default_kernels(),
                                          std::move(policy),
                                          engine::RunnerOptions{.context = 4096,
                                                                .batch_tokens = options.batch,
                                                                .kv_bytes = size_t{64} << 20,
                                                                .explain = options.explain,
                                                                .token_text = options.token_text});
}

std::unique_ptr<engine::Runner> tiny_model(const std::string& name, const std::string& line,
                                           const TinyOptions& options) {
  const std::string stored = line.find("store=") == std::string::npos ? line + " store=f32" : line;
  return tiny_model(name, kv::make_policy(kv::parse_policy(stored), kernel::KvFormat::kF32),
                    options);
}

std::vector<int32_t> random_tokens(size_t count, size_t vocab, uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<int32_t> out(count);
  for (int32_t& id : out) id = static_cast<int32_t>(rng() % vocab);
  return out;
}

}  // namespace fathom::test
