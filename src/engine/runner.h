// One step of several sequences: tokens through the model and into their caches.
//
// Owns the forward pass's scratch and the pool of pages. Use it from one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "engine/cache_price.h"
#include "engine/prompt_filter.h"
#include "engine/text_reader.h"
#include "kernel/kernels.h"
#include "kv/attend.h"
#include "kv/keep_stage.h"
#include "kv/page_pool.h"
#include "kv/policy.h"
#include "kv/sequence_cache.h"
#include "kv/store_stage.h"
#include "model/forward.h"

namespace fathom::engine {

using TokenId = int32_t;
class AttentionObserver;

enum class Outputs : uint8_t { kNone, kLast, kAll };

// A sequence's share of a step.
struct StepPart {
  kv::SequenceCache* cache = nullptr;
  std::span<const TokenId> tokens;
  Outputs outputs = Outputs::kLast;
  size_t prompt = 0;  // tokens that the cache will hold when its prompt is read; 0: not known
};

struct RunnerOptions {
  size_t context = 4096;      // tokens that a sequence may hold
  size_t batch_tokens = 512;  // tokens that go through the matrices together
  size_t kv_bytes = 0;        // budget of the page pool
  bool explain = false;       // new caches have a ledger
  TokenText token_text = {};  // for policies that ask where sentences end
};

class Runner {
 public:
  Runner(std::shared_ptr<const model::Model> model, std::shared_ptr<ThreadPool> pool,
         const kernel::Kernels& kernels, kv::Policy policy, const RunnerOptions& options);

  kv::SequenceCache new_cache();

  // Appends the tokens to their caches. Returns the wanted logits, [outputs][vocab], in the order
  // of the parts; they stay valid until the next step. Throws Error(kOutOfMemory) before anything
  // is changed where the caches have no room, Error(kTooLong) beyond the context. Where the layers
  // fail, the caches hold what they held before.
  // REQUIRES: at most step_tokens() tokens, every part at least one, no cache twice.
  std::span<float> step(std::span<const StepPart> parts);

  // Reads any number of tokens in steps of step_tokens() and returns the last token's logits. More
  // than one token is a prompt: at its end the policy decides what stays.
  // Reports "reading" in tokens; a report that returns false ends early, at a step's border.
  // Where the policy chooses_tokens() of the prompt, it first reports "choosing", and an early end
  // leaves the cache empty and no logits.
  std::span<float> read(kv::SequenceCache& cache, std::span<const TokenId> tokens,
                        const Progress& progress = {});

  // Asks KEEP once more what stays, with the newest queries, of the tokens that are there: at the
  // end of a turn that came by step(). What was taken out before does not come back.
  void keep_again(kv::SequenceCache& cache);

  // Whether the policy would choose which tokens of this text the model reads if the text came to
  // an empty cache: it is a prompt and longer than the policy's budget.
  bool chooses_tokens(size_t text) const { return filter_ && text > filter_->budget(); }

  const model::Config& config() const { return forward_.config(); }
  const kv::Policy& policy() const { return policy_; }
  const kv::PagePool& pages() const { return pages_; }
  const RunnerOptions& options() const { return options_; }
  // Most tokens of a step, at least batch_tokens.
  size_t step_tokens() const { return forward_.max_tokens(); }
  const kernel::Kernels& kernels() const { return kernels_; }
  ThreadPool& threads() { return *pool_; }
  const std::shared_ptr<ThreadPool>& pool() const { return pool_; }
  // Whether tokens can be taken off the end of a cache as if they had never been read. Not where
  // tokens were left out, nor where a policy has learned from the queries of those to be taken off.
  bool can_rewind(const kv::SequenceCache& cache) const;
  // What policies spared, see Attender's accounts.
  kv::Attender& attender() { return attender_; }
  // Shown the attention of every step from now on; null: nobody. Must outlive the steps.
  void observe(AttentionObserver* observer) { observer_ = observer; }

 private:
  void check(std::span<const StepPart> parts) const;
  void check_tokens(std::span<const TokenId> tokens, size_t length) const;
  std::span<float> read_all(kv::SequenceCache& cache, std::span<const TokenId> tokens,
                            const Progress& progress);
  std::span<float> read_chosen(kv::SequenceCache& cache, std::span<const TokenId> tokens,
                               const Progress& progress);
  void collect(std::span<const StepPart> parts);
  void run_layers(std::span<float> logits);
  std::span<float> take_texts(std::span<const StepPart> parts, std::span<float> logits);

  std::shared_ptr<ThreadPool> pool_;
  const kernel::Kernels& kernels_;
  kv::Policy policy_;
  RunnerOptions options_;
  model::Forward forward_;
  kv::PagePool pages_;
  kv::Attender attender_;
  kv::KeepStage keep_;
  kv::StoreStage store_;
  AttentionObserver* observer_ = nullptr;
  TextReader text_;
  std::optional<PromptFilter> filter_;

  std::vector<TokenId> tokens_;
  std::vector<int32_t> positions_;
  std::vector<uint32_t> outputs_;
  std::vector<int32_t> next_;    // tokens, where their surprise is asked for
  std::vector<float> surprise_;  // of next_
  std::vector<kv::SequenceRows> rows_;
  Buffer<float> logits_;
};

}  // namespace fathom::engine
