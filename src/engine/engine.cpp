#include "engine/engine.h"

#include <chrono>

#include "base/checked.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"
#include "engine/load_vocab.h"
#include "model/family.h"

namespace fathom::engine {
namespace {

// Kept free for the system, the tokenizer and what else a program does.
constexpr size_t kReserve = size_t{256} << 20;
// Positions are exact far beyond; this only catches slips of the keyboard.
constexpr size_t kMaxContext = size_t{1} << 27;

size_t scratch_bytes(const model::Config& c, size_t step, size_t batch) {
  const size_t floats = 2 * c.dim + (2 * c.heads + 2 * c.kv_heads) * c.head_dim + c.head_dim;
  return step * floats * 4 + batch * (floats + 2 * c.feed_forward * 5) + c.vocab * 4 +
         (size_t{8} << 20);
}

size_t weight_bytes(const file::Checkpoint& checkpoint) {
  size_t bytes = 0;
  for (const file::TensorView& t : checkpoint.tensors()) bytes += t.data.size();
  return bytes;
}

std::unique_ptr<text::ChatTemplate> load_template(const file::Checkpoint& checkpoint) {
  const std::string source = checkpoint.metadata().text("tokenizer.chat_template", "");
  return source.empty() ? nullptr : std::make_unique<text::ChatTemplate>(source);
}

int threads_of(const ModelOptions& options) {
  if (options.threads < 0 || options.threads > 1024) {
    throw usage_error("--threads", "{} is not between 1 and 1024", options.threads);
  }
  return options.threads == 0 ? usable_cores() : options.threads;
}

}  // namespace

MemoryPlan plan_memory(const model::Config& config, size_t weights, const kv::Policy& policy,
                       const ModelOptions& options) {
  if (options.batch < 1 || options.batch > 65536) {
    throw usage_error("--batch-size", "{} is not between 1 and 65536", options.batch);
  }
  if (options.context > kMaxContext) {
    throw usage_error("--ctx", "{} is beyond {} tokens", options.context, kMaxContext);
  }
  MemoryPlan plan;
  plan.weight_bytes = weights;
  const size_t step = step_tokens(policy, options.batch);
  plan.scratch_bytes = scratch_bytes(config, step, options.batch);
  plan.available = available_memory();
  const size_t fixed = weights + plan.scratch_bytes + kReserve;
  const size_t room = options.kv_bytes > 0     ? options.kv_bytes
                      : plan.available > fixed ? plan.available - fixed
                                               : 0;
  const ReadingPlan reading = options.reply_tokens < 0
                                  ? ReadingPlan(step)
                                  : ReadingPlan(step, size_t(options.reply_tokens));
  plan.largest_context = longest_context(config, policy, reading, room, kMaxContext);
  plan.context = options.context > 0 ? options.context
                                     : std::min(config.trained_context, plan.largest_context);
  if (plan.context > plan.largest_context || plan.context == 0) {
    throw with_hint(
        out_of_memory("--ctx", "{} tokens of context need {}, but {} is there for the cache",
                      plan.context,
                      human_bytes(double(cache_need(config, policy, plan.context, reading).peak())),
                      human_bytes(double(room))),
        fmt::format("the largest context that fits is {}; a smaller store format (--kv) or more "
                    "memory (--kv-memory) makes room",
                    plan.largest_context));
  }
  plan.kv_bytes = options.kv_bytes > 0 ? options.kv_bytes : room;
  return plan;
}

std::shared_ptr<Engine> Engine::with_policy(const std::string& kv, size_t context) const {
  RunnerOptions options = runner_->options();
  options.context = context;
  options.batch_tokens = std::min(options.batch_tokens, context);
  kv::Policy policy = kv::make_policy(kv::parse_policy(kv), runner_->kernels().native_kv);
  const size_t step = step_tokens(policy, options.batch_tokens);
  options.kv_bytes = cache_price(model_->config(), policy, step).bytes(context);
  return with_policy(std::move(policy), options);
}

std::shared_ptr<Engine> Engine::with_policy(kv::Policy policy, const RunnerOptions& options) const {
  std::shared_ptr<Engine> other(new Engine());
  other->checkpoint_ = checkpoint_;
  other->model_ = model_;
  other->tokenizer_ = tokenizer_;
  other->template_ = template_;
  other->runner_ = std::make_unique<Runner>(model_, runner_->pool(), runner_->kernels(),
                                            std::move(policy), options);
  return other;
}

std::shared_ptr<Engine> Engine::load(const std::string& path, const ModelOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  std::shared_ptr<Engine> engine(new Engine());
  const kernel::Kernels& kernels = kernel::default_kernels();
  const auto pool = ThreadPool::shared(threads_of(options));
  kv::Policy policy = kv::make_policy(kv::parse_policy(options.kv), kernels.native_kv);

  engine->checkpoint_ = std::make_shared<const file::Checkpoint>(file::Checkpoint::open(path));
  const file::Checkpoint& checkpoint = *engine->checkpoint_;
  const model::Config config = model::read_config(checkpoint);
  policy.store.require_layers(config.layers);
  const MemoryPlan plan = plan_memory(config, weight_bytes(checkpoint), policy, options);
  engine->tokenizer_ = text::Tokenizer::create(load_vocab(checkpoint.metadata()));
  engine->template_ = load_template(checkpoint);
  engine->model_ = model::Model::load(engine->checkpoint_, *pool, options.progress);
  if (engine->tokenizer_->size() > config.vocab) {
    throw bad_file(path, "the vocabulary has {} tokens, but the embedding only {}",
                   engine->tokenizer_->size(), config.vocab);
  }
  engine->runner_ = std::make_unique<Runner>(
      engine->model_, pool, kernels, std::move(policy),
      RunnerOptions{
          plan.context, std::min(options.batch, plan.context), plan.kv_bytes, options.explain,
          [tokenizer = engine->tokenizer_.get()](TokenId id) { return tokenizer->piece(id); }});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  engine->load_seconds_ = took.count();
  return engine;
}

}  // namespace fathom::engine
