#include "engine/prompt_filter.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/stopwatch.h"
#include "engine/cache_attention.h"

namespace fathom::engine {
namespace {

// The layer nearest to `wanted` that sees the whole text.
size_t nearest_unwindowed(const model::Config& c, size_t wanted) {
  for (size_t away = 0; away < c.layers; ++away) {
    if (wanted >= away && !c.windowed(wanted - away)) return wanted - away;
    if (wanted + away < c.layers && !c.windowed(wanted + away)) return wanted + away;
  }
  throw unsupported("gemfilter", "every layer of this model looks back a window only");
}

// Pairs of queries and keys of one head; a window of 0 is none.
double causal_pairs(double n, double window) {
  const double full = window > 0 ? std::min(n, window) : n;
  return full * (full + 1) / 2 + (n - full) * full;
}

}  // namespace

size_t choosing_layer(const model::Config& c, const kv::GemFilter& filter) {
  if (!filter.layer) return nearest_unwindowed(c, c.layers * 2 / 5);
  if (*filter.layer >= c.layers) {
    throw with_hint(
        unsupported("gemfilter", "layer {} of a model with {} layers", *filter.layer, c.layers),
        fmt::format("they are counted from 0; the last is {}", c.layers - 1));
  }
  if (c.windowed(*filter.layer)) {
    throw with_hint(
        unsupported("gemfilter", "layer {} only looks back {} tokens", *filter.layer, c.window),
        fmt::format("the nearest that sees the whole text is {}",
                    nearest_unwindowed(c, *filter.layer)));
  }
  return *filter.layer;
}

// The cache as the first layers see it. Of the last one's attention nobody needs the result.
class PromptFilter::Probe final : public model::Attention {
 public:
  Probe(PromptFilter& filter, kv::SequenceCache& cache, size_t prompt)
      : filter_(filter), cache_(cache), prompt_(prompt) {}

  void begin_step(size_t tokens) {
    cache_.extend(tokens);
    tokens_ = tokens;
  }

  void attend(const model::AttendCall& call) override {
    const kv::SequenceRows rows{&cache_, 0, tokens_, prompt_};
    const kv::AttendLayer layer = layer_of(call, filter_.parts_.forward.config().heads);
    if (call.layer < filter_.layer_) return filter_.attender_.run(layer, {&rows, 1});
    const size_t d = cache_.shape().head_dim, kv_heads = cache_.shape().kv_heads;
    const size_t first = cache_.length() - tokens_;
    filter_.parts_.threads.run(kv_heads, [&](size_t h, int) {
      cache_.write(call.layer, h, first, {call.k + h * d, call.v + h * d, kv_heads * d, tokens_});
    });
    const float* last = call.q + (tokens_ - 1) * layer.heads * d;
    query_.assign(last, last + layer.heads * d);
  }

  // [heads][head_dim] of the last token in the choosing layer.
  const std::vector<float>& query() const { return query_; }

 private:
  PromptFilter& filter_;
  kv::SequenceCache& cache_;
  size_t prompt_, tokens_ = 0;
  std::vector<float> query_;
};

PromptFilter::PromptFilter(const Parts& parts, const kv::Policy& policy)
    : parts_(parts),
      filter_(*policy.filter),
      store_(policy.store),
      attender_(parts.threads, parts.kernels, filter_.reader),
      layer_(choosing_layer(parts.forward.config(), filter_)) {}

std::vector<int32_t> PromptFilter::choose(std::span<const int32_t> tokens,
                                          const Progress& progress) {
  const model::Config& c = parts_.forward.config();
  attender_.reset_account();
  kv::SequenceCache cache(parts_.pages, store_, {layer_ + 1, c.kv_heads, c.head_dim});
  Probe probe(*this, cache, tokens.size());
  std::vector<int32_t> positions;
  for (size_t at = 0; at < tokens.size();) {
    const size_t n = std::min(parts_.forward.max_tokens(), tokens.size() - at);
    positions.resize(n);
    std::iota(positions.begin(), positions.end(), static_cast<int32_t>(at));
    probe.begin_step(n);
    parts_.forward.run({.tokens = tokens.subspan(at, n),
                        .positions = positions,
                        .outputs = {},
                        .next = {},
                        .last_layer = layer_},
                       probe, {});
    at += n;
    if (!report(progress, {"choosing", at, tokens.size(), "tokens"})) return {};
  }
  return best(cache, probe);
}

std::vector<int32_t> PromptFilter::best(const kv::SequenceCache& cache, const Probe& probe) {
  const Stopwatch watch;
  const model::Config& c = parts_.forward.config();
  const size_t d = c.head_dim, group = c.heads / c.kv_heads;
  std::vector<double> sums(cache.length());
  Buffer<float> keys;
  std::vector<int32_t> positions;
  for (size_t h = 0; h < c.kv_heads; ++h) {
    const kv::HeadView head = kv::stored_head(cache, layer_, h, keys, positions);
    kv::QueryView query;
    query.group = group;
    query.tokens = 1;
    query.first = cache.length() - 1;
    query.stride = c.heads * d;
    query.q = probe.query().data() + h * group * d;
    kv::add_gemfilter_products(head, query, sums);
  }
  auto chosen = kv::gemfilter_tokens(kv::gemfilter_scores(sums), filter_);
  scoring_seconds_ = watch.seconds();
  return chosen;
}

double PromptFilter::pairs(size_t tokens, size_t layers) const {
  const model::Config& c = parts_.forward.config();
  double sum = 0;
  for (size_t l = 0; l < layers; ++l) {
    sum += causal_pairs(double(tokens), c.windowed(l) ? double(c.window) : 0);
  }
  return sum * double(c.heads);
}

kv::PrefillAccount PromptFilter::account(size_t tokens, size_t chosen, double again) const {
  const size_t layers = parts_.forward.config().layers;
  kv::PrefillAccount account = attender_.account();
  account.visited =
      pairs(tokens, layer_) * attender_.account().density() + pairs(chosen, layers) * again;
  account.causal = pairs(tokens, layers);
  account.select_seconds += scoring_seconds_;
  return account;
}

}  // namespace fathom::engine
