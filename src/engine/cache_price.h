// What a sequence's cache takes, before anything is loaded.
#pragma once

#include "kernel/attention.h"
#include "kv/policy.h"
#include "model/config.h"

namespace fathom::engine {

// Tokens of a step: `batch`, or what the prefill policy wants to decide on at once.
size_t step_tokens(const kv::Policy& policy, size_t batch);

// What pages take while they are written and read.
struct CachePrice {
  size_t page_bytes = 0;   // 64 tokens in all heads, encoded
  size_t open_pages = 0;   // at most so many of them are still in the plain format,
  size_t extra_bytes = 0;  // which takes so much more

  size_t bytes(size_t tokens) const {
    const size_t pages = (tokens + kernel::kPageTokens - 1) / kernel::kPageTokens;
    const size_t open = pages < open_pages ? pages : open_pages;
    return pages * page_bytes + (open_pages > 0 ? extra_bytes / open_pages * open : 0);
  }
};
// Tokens of a head that are in the cache at most, while a text of `context` tokens is read in steps
// of `step`: all of them, or what a bounded KEEP policy leaves, a step, and room to move them.
size_t held_tokens(const model::Config& config, const kv::Policy& policy, size_t context,
                   size_t step);
CachePrice cache_price(const model::Config& config, const kv::Policy& policy, size_t step);

// How a text is read: in steps of so many tokens. Where a policy chooses some of the prompt's
// tokens (gemfilter), there is room for so many of an answer behind them.
struct ReadingPlan {
  static constexpr size_t kAnyAnswer = 4096;

  ReadingPlan(size_t step_tokens, size_t answer_tokens = kAnyAnswer)  // NOLINT: a step is a plan
      : step(step_tokens), answer(answer_tokens) {}
  size_t step, answer;
};

// What the cache of a text takes, prompt and answer together `context` tokens.
struct CacheNeed {
  size_t choosing = 0;  // the first layers' pages, where a policy chooses tokens by them; then gone
  size_t reading = 0;   // until the prompt is read, stores that wait for it encoding it included
  size_t kept = 0;      // then, at most: a KEEP policy without a bound may leave less
  size_t peak() const { return choosing > reading ? choosing : reading; }
};
// Throws Error(kUnsupported) where the policy names a layer to choose by that the model lacks.
CacheNeed cache_need(const model::Config& config, const kv::Policy& policy, size_t context,
                     const ReadingPlan& plan);
// The longest text, in whole pages and at most `most` tokens, whose peak `room` is enough for.
size_t longest_context(const model::Config& config, const kv::Policy& policy,
                       const ReadingPlan& plan, size_t room, size_t most);

}  // namespace fathom::engine
