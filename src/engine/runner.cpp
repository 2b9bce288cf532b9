#include "engine/runner.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "engine/cache_attention.h"

namespace fathom::engine {

CachePrice cache_price(const model::Config& c, const kv::Policy& policy, size_t batch) {
  CachePrice price;
  size_t extra = 0;  // of an open page in all heads
  for (size_t layer = 0; layer < c.layers; ++layer) {
    const kv::StoreCodec& codec = policy.store.of(layer);
    const size_t plain = codec.page_bytes(c.head_dim), sealed = codec.sealed_bytes(c.head_dim);
    price.page_bytes += c.kv_heads * sealed;
    if (!codec.seals()) continue;
    extra += c.kv_heads * (plain - std::min(plain, sealed));
    // Pages that are not yet encoded: the tail's, a step's, and one that both may end in.
    const size_t open = ceil_div(codec.tail() + batch, kernel::kPageTokens) + 1;
    price.open_pages = std::max(price.open_pages, open);
  }
  price.extra_bytes = price.open_pages * extra;
  return price;
}

Runner::Runner(std::shared_ptr<const model::Model> model, std::shared_ptr<ThreadPool> pool,
               const kernel::Kernels& kernels, kv::Policy policy, const RunnerOptions& options)
    : pool_(std::move(pool)),
      kernels_(kernels),
      policy_(std::move(policy)),
      options_(options),
      forward_(std::move(model), *pool_, kernels, options.batch_tokens, options.context),
      pages_(options.kv_bytes),
      attender_(*pool_, kernels, policy_.prefill, policy_.fetch),
      keep_(*pool_, policy_.keep, forward_.config().layers) {}

kv::SequenceCache Runner::new_cache() {
  const model::Config& c = config();
  kv::SequenceCache cache(pages_, policy_.store, {c.layers, c.kv_heads, c.head_dim});
  if (options_.explain) cache.keep_ledger();
  return cache;
}

void Runner::check(std::span<const StepPart> parts) const {
  size_t bytes = 0, tokens = 0;
  for (const StepPart& part : parts) {
    FATHOM_CHECK(!part.tokens.empty());
    const size_t length = part.cache->length() + part.tokens.size();
    if (length > options_.context) {
      throw with_hint(
          Error(ErrorCode::kTooLong, "context",
                fmt::format("{} tokens do not fit into a context of {}", length, options_.context)),
          "ask for a larger one with --ctx, or read less text");
    }
    bytes += part.cache->bytes_for(part.tokens.size());
    tokens += part.tokens.size();
    for (const TokenId id : part.tokens) {
      if (id < 0 || static_cast<size_t>(id) >= config().vocab) {
        throw usage_error("tokens", "{} is not a token of this model ({} in all)", id,
                          config().vocab);
      }
    }
  }
  FATHOM_CHECK(tokens <= options_.batch_tokens);
  if (bytes > pages_.free_bytes()) {
    throw with_hint(
        out_of_memory("KV cache", "{} more tokens need {} MiB of pages, {} of {} MiB are free",
                      tokens, bytes >> 20, pages_.free_bytes() >> 20,
                      pages_.stats().budget_bytes >> 20),
        "give the cache more memory, or choose a smaller store format with --kv");
  }
}

std::span<float> Runner::step(std::span<const StepPart> parts) {
  check(parts);
  tokens_.clear();
  positions_.clear();
  outputs_.clear();
  rows_.clear();
  for (const StepPart& part : parts) {
    const size_t first = tokens_.size(), n = part.tokens.size();
    for (size_t i = 0; i < n; ++i) {
      tokens_.push_back(part.tokens[i]);
      positions_.push_back(static_cast<int32_t>(part.cache->length() + i));
      const bool wanted =
          part.outputs == Outputs::kAll || (part.outputs == Outputs::kLast && i + 1 == n);
      if (wanted) outputs_.push_back(static_cast<uint32_t>(first + i));
    }
    part.cache->extend(n);
    rows_.push_back({part.cache, first, n, part.prompt});
  }
  const size_t floats = outputs_.size() * config().vocab;
  logits_.ensure(floats);
  const std::span<float> logits = logits_.span().first(floats);
  CacheAttention attention(attender_, keep_, rows_, config().heads, observer_);
  forward_.run({tokens_, positions_, outputs_}, attention, logits);
  for (const StepPart& part : parts) {
    keep_.after_step(*part.cache);
    part.cache->seal(*pool_);
  }
  return logits;
}

std::span<float> Runner::read(kv::SequenceCache& cache, std::span<const TokenId> tokens,
                              const Progress& progress) {
  std::span<float> logits;
  const size_t prompt = cache.length() + tokens.size();
  for (size_t at = 0; at < tokens.size();) {
    const size_t n = std::min(options_.batch_tokens, tokens.size() - at);
    const bool last = at + n == tokens.size();
    const StepPart part{&cache, tokens.subspan(at, n), last ? Outputs::kLast : Outputs::kNone,
                        prompt};
    logits = step({&part, 1});
    at += n;
    if (!report(progress, {"reading", at, tokens.size(), "tokens"})) break;
  }
  if (tokens.size() > 1) {
    keep_.after_prompt(cache);
    cache.seal(*pool_);
  }
  return logits;
}

}  // namespace fathom::engine
