// A model that is ready to run: weights, tokenizer, chat template, runner.
#pragma once

#include <fathom/options.h>

#include <memory>
#include <string>

#include "engine/runner.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace fathom::engine {

class Engine {
 public:
  static std::shared_ptr<Engine> load(const std::string& path, const ModelOptions& options);
  // The same model with another cache policy: weights, tokenizer and threads are shared. The cache
  // may take what `context` tokens need.
  std::shared_ptr<Engine> with_policy(const std::string& kv, size_t context) const;
  std::shared_ptr<Engine> with_policy(kv::Policy policy, const RunnerOptions& options) const;

  Runner& runner() { return *runner_; }
  const Runner& runner() const { return *runner_; }
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  const text::ChatTemplate* chat_template() const { return template_.get(); }  // null: none
  const model::Model& model() const { return *model_; }
  const file::Checkpoint& checkpoint() const { return *checkpoint_; }
  size_t context() const { return runner_->options().context; }
  double load_seconds() const { return load_seconds_; }

 private:
  Engine() = default;

  std::shared_ptr<const file::Checkpoint> checkpoint_;
  std::shared_ptr<const model::Model> model_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::shared_ptr<const text::ChatTemplate> template_;
  std::unique_ptr<Runner> runner_;
  double load_seconds_ = 0;
};

// What a context costs and what fits, before anything is loaded.
struct MemoryPlan {
  size_t weight_bytes = 0;
  size_t scratch_bytes = 0;    // of the forward pass, about
  size_t context = 0;          // chosen
  size_t kv_bytes = 0;         // budget chosen
  size_t largest_context = 0;  // that fits into `available`
  size_t available = 0;
};

// Throws Error(kOutOfMemory), naming the largest context that fits, where options.context was asked
// for and does not; Error(kUsage) where it is beyond reason.
MemoryPlan plan_memory(const model::Config& config, size_t weight_bytes, const kv::Policy& policy,
                       const ModelOptions& options);

}  // namespace fathom::engine
