#include "engine/runner.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "engine/cache_attention.h"
#include "engine/key_norms.h"

namespace fathom::engine {
namespace {

kv::Policy with_key_norms(kv::Policy policy, const model::Model& model, ThreadPool& pool) {
  if (policy.store.needs_key_norms()) policy.store.bind(key_norms(model, pool));
  return policy;
}

// What stages do to each other. Throws Error(kUnsupported).
const kv::Policy& checked(const kv::Policy& policy) {
  if (policy.keep && policy.fetch && policy.fetch->needs().observed > 0) {
    throw with_hint(
        unsupported("--kv", "'{}': tokens are evicted under an index that has learned from them",
                    policy.line),
        "fetch=quest, lserve, sentence or recycled go with any keep method");
  }
  return policy;
}

}  // namespace

Runner::Runner(std::shared_ptr<const model::Model> model, std::shared_ptr<ThreadPool> pool,
               const kernel::Kernels& kernels, kv::Policy policy, const RunnerOptions& options)
    : pool_(std::move(pool)),
      kernels_(kernels),
      policy_(with_key_norms(std::move(policy), *model, *pool_)),
      options_(options),
      forward_(std::move(model), *pool_, kernels,
               {std::min(engine::step_tokens(policy_, options.batch_tokens), options.context),
                options.batch_tokens, options.context}),
      pages_(options.kv_bytes),
      attender_(*pool_, kernels, policy_.prefill, checked(policy_).fetch),
      keep_(*pool_, policy_.keep, forward_.config().layers),
      store_(*pool_, policy_.store, forward_.config().layers),
      text_(policy_, options.token_text) {
  if (policy_.filter) {
    filter_.emplace(PromptFilter::Parts{*pool_, kernels_, forward_, pages_}, policy_);
  }
}

kv::SequenceCache Runner::new_cache() {
  const model::Config& c = config();
  kv::SequenceCache cache(pages_, policy_.store, {c.layers, c.kv_heads, c.head_dim});
  if (options_.explain) cache.keep_ledger();
  return cache;
}

// Tokens that make a text of this length.
void Runner::check_tokens(std::span<const TokenId> tokens, size_t length) const {
  if (length > options_.context) {
    throw with_hint(
        Error(ErrorCode::kTooLong, "context",
              fmt::format("{} tokens do not fit into a context of {}", length, options_.context)),
        "ask for a larger one with --ctx, or read less text");
  }
  for (const TokenId id : tokens) {
    if (id < 0 || static_cast<size_t>(id) >= config().vocab) {
      throw usage_error("tokens", "{} is not a token of this model ({} in all)", id,
                        config().vocab);
    }
  }
}

void Runner::check(std::span<const StepPart> parts) const {
  size_t bytes = 0, tokens = 0;
  for (const StepPart& part : parts) {
    FATHOM_CHECK(!part.tokens.empty());
    check_tokens(part.tokens, part.cache->length() + part.tokens.size());
    bytes += part.cache->bytes_for(part.tokens.size());
    tokens += part.tokens.size();
  }
  FATHOM_CHECK(tokens <= step_tokens());
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
  collect(parts);
  const size_t floats = outputs_.size() * config().vocab;
  logits_.ensure(floats);
  const std::span<float> logits = logits_.span().first(floats);
  surprise_.resize(next_.size());
  run_layers(logits);
  const std::span<float> wanted = text_.wants_surprise() ? take_texts(parts, logits) : logits;
  for (const StepPart& part : parts) {
    const bool reading = part.prompt > part.cache->length();
    keep_.after_step(*part.cache,
                     reading ? kv::KeepStage::Phase::kReading : kv::KeepStage::Phase::kDecoding);
    if (!reading) store_.after_step(*part.cache);
    part.cache->seal(*pool_);
  }
  return wanted;
}

// Where this fails, the caches hold what they held before: rows that were not written mean nothing.
void Runner::run_layers(std::span<float> logits) {
  try {
    CacheAttention attention({attender_, keep_, store_}, rows_, config().heads, observer_);
    forward_.run({tokens_, positions_, outputs_, next_}, attention, logits, surprise_);
  } catch (...) {
    for (const kv::SequenceRows& s : rows_) s.cache->truncate(s.cache->length() - s.tokens);
    throw;
  }
}

// The step as one flat batch; makes room in the caches.
void Runner::collect(std::span<const StepPart> parts) {
  tokens_.clear();
  positions_.clear();
  outputs_.clear();
  next_.clear();
  rows_.clear();
  for (const StepPart& part : parts) {
    const size_t first = tokens_.size(), n = part.tokens.size();
    for (size_t i = 0; i < n; ++i) {
      tokens_.push_back(part.tokens[i]);
      positions_.push_back(static_cast<int32_t>(part.cache->length() + i));
      const bool last = i + 1 == n;
      const bool wanted = part.outputs == Outputs::kAll || (part.outputs == Outputs::kLast && last);
      if (wanted || (last && text_.wants_surprise())) {
        outputs_.push_back(static_cast<uint32_t>(first + i));
      }
      if (text_.wants_surprise()) next_.push_back(last ? -1 : part.tokens[i + 1]);
    }
    text_.before(part.cache->text(), part.tokens);
    part.cache->extend(n);
    rows_.push_back({part.cache, first, n, part.prompt});
  }
}

// Hands out what the step said of its tokens, and leaves the logits that were asked for.
std::span<float> Runner::take_texts(std::span<const StepPart> parts, std::span<float> logits) {
  const size_t vocab = config().vocab;
  size_t token = 0, from = 0, to = 0;  // rows
  for (const StepPart& part : parts) {
    const size_t n = part.tokens.size();
    const size_t rows = part.outputs == Outputs::kAll ? n : 1;
    TextReader::after(part.cache->text(), std::span(surprise_).subspan(token, n - 1),
                      logits.subspan((from + rows - 1) * vocab, vocab));
    if (part.outputs != Outputs::kNone) {
      std::memmove(logits.data() + to * vocab, logits.data() + from * vocab,
                   rows * vocab * sizeof(float));
      to += rows;
    }
    token += n;
    from += rows;
  }
  return logits.first(to * vocab);
}

void Runner::keep_again(kv::SequenceCache& cache) {
  keep_.after_prompt(cache);
  cache.seal(*pool_);
}

bool Runner::can_rewind(const kv::SequenceCache& cache) const {
  if (!cache.whole() || !cache.text().chosen.places.empty() || text_.wants_surprise()) return false;
  if (policy_.keep && policy_.keep->needs().received) return false;
  return !policy_.fetch || policy_.fetch->needs().observed == 0;
}

std::span<float> Runner::read(kv::SequenceCache& cache, std::span<const TokenId> tokens,
                              const Progress& progress) {
  const bool choose = cache.length() == 0 && tokens.size() > 1 && chooses_tokens(tokens.size());
  return choose ? read_chosen(cache, tokens, progress) : read_all(cache, tokens, progress);
}

// The whole text by the first layers, then what they chose by all.
std::span<float> Runner::read_chosen(kv::SequenceCache& cache, std::span<const TokenId> tokens,
                                     const Progress& progress) {
  check_tokens(tokens, tokens.size());
  std::vector<int32_t> places = filter_->choose(tokens, progress);
  if (places.empty()) return {};
  std::vector<TokenId> chosen;
  for (const int32_t place : places) chosen.push_back(tokens[static_cast<size_t>(place)]);
  const kv::PrefillAccount before = attender_.account();
  const std::span<float> logits = read_all(cache, chosen, progress);
  if (cache.length() < chosen.size()) {
    cache.truncate(0);
    return {};
  }
  // The second reading counted itself, where it was sparse; it is part of the whole.
  kv::PrefillAccount again = attender_.account();
  again.visited -= before.visited;
  again.causal -= before.causal;
  kv::PrefillAccount both = filter_->account(tokens.size(), chosen.size(), again.density());
  both.visited -= again.visited;
  both.causal -= again.causal;
  attender_.add_account(both, filter_->seconds());
  cache.text().chosen = {std::move(places), tokens.size(), filter_->layer() + 1};
  return logits;
}

std::span<float> Runner::read_all(kv::SequenceCache& cache, std::span<const TokenId> tokens,
                                  const Progress& progress) {
  std::span<float> logits;
  const size_t prompt = tokens.size() > 1 ? cache.length() + tokens.size() : 0;
  for (size_t at = 0; at < tokens.size();) {
    const size_t n = std::min(step_tokens(), tokens.size() - at);
    const bool last = at + n == tokens.size();
    const StepPart part{&cache, tokens.subspan(at, n), last ? Outputs::kLast : Outputs::kNone,
                        prompt};
    logits = step({&part, 1});
    at += n;
    if (!report(progress, {"reading", at, tokens.size(), "tokens"})) break;
  }
  if (tokens.size() > 1) {
    const size_t before = pages_.stats().used_bytes;
    keep_.after_prompt(cache);
    store_.after_prompt(cache);
    cache.seal(*pool_);
    if (pages_.stats().used_bytes < before) cache.compact();
  }
  return logits;
}

}  // namespace fathom::engine
