#include "kv/keep_stage.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace fathom::kv {
namespace {

std::string missing(const KeepPolicy& policy) {
  const KeepNeeds needs = policy.needs();
  if (needs.received) return "the sums of attention that tokens have received";
  if (needs.unrotated) return "queries and keys before their rotation";
  if (needs.surprise) return "the probabilities of the text's tokens";
  if (policy.leaves_extra_token()) return "a token that stands for several";
  return "";
}

}  // namespace

KeepStage::KeepStage(ThreadPool& pool, std::shared_ptr<const KeepPolicy> policy, size_t layers)
    : pool_(pool), policy_(std::move(policy)), layers_(layers), scales_(layers, 1.0f) {
  if (!policy_) return;
  if (const std::string what = missing(*policy_); !what.empty()) {
    throw with_hint(
        unsupported("--kv",
                    "this keep method needs {}, which a model's run does not "
                    "provide",
                    what),
        "'fathom replay' runs it on a recording; keep=snapkv or keep=streaming run here");
  }
  window_ = policy_->needs().window;
}

void KeepStage::observe(const AttendLayer& layer, std::span<const SequenceRows> sequences) {
  if (!policy_) return;
  scales_[layer.layer] = layer.scale;
  if (window_ == 0) return;
  for (const SequenceRows& s : sequences) remember(layer, s);
}

// Shifts the layer's queries to make room for the newest.
void KeepStage::remember(const AttendLayer& layer, const SequenceRows& s) {
  QueryWindow& w = s.cache->query_window();
  const size_t width = layer.heads * s.cache->shape().head_dim;
  w.width = width;
  w.rows.resize(layers_ * window_ * width);
  w.filled.resize(layers_);
  float* rows = w.rows.data() + layer.layer * window_ * width;
  size_t& filled = w.filled[layer.layer];
  const size_t fresh = std::min(s.tokens, window_);
  const size_t old = std::min(filled, window_ - fresh);
  std::memmove(rows, rows + (filled - old) * width, old * width * sizeof(float));
  std::memcpy(rows + old * width, layer.q + (s.first_row + s.tokens - fresh) * width,
              fresh * width * sizeof(float));
  filled = old + fresh;
}

void KeepStage::after_step(SequenceCache& cache) {
  if (!policy_ || !policy_->evicts_while_decoding()) return;
  if (cache.length() - cache.query_window().evicted_at >= kernel::kPageTokens) evict(cache);
}

void KeepStage::after_prompt(SequenceCache& cache) {
  if (policy_ && cache.length() > cache.query_window().evicted_at) evict(cache);
}

void KeepStage::evict(SequenceCache& cache) {
  for (size_t layer = 0; layer < layers_; ++layer) evict_layer(cache, layer);
  cache.query_window().evicted_at = cache.length();
}

void KeepStage::evict_layer(SequenceCache& cache, size_t layer) {
  const CacheShape& shape = cache.shape();
  const size_t d = shape.head_dim;
  heads_.resize(shape.kv_heads);
  std::vector<HeadView> views(shape.kv_heads);
  std::vector<QueryView> queries(shape.kv_heads);
  const QueryWindow& w = cache.query_window();
  pool_.run(shape.kv_heads, [&](size_t h, int) {
    Head& head = heads_[h];
    const HeadCache& stored = cache.head(layer, h);
    const size_t n = stored.length();
    head.k.ensure(n * d);
    head.v.ensure(n * d);
    head.positions.resize(n);
    cache.read_keys(layer, h, 0, {head.k.data(), n * d});
    cache.read_values(layer, h, 0, {head.v.data(), n * d});
    for (size_t i = 0; i < n; ++i) head.positions[i] = stored.position(i);
    views[h].layer = layer;
    views[h].kv_head = h;
    views[h].head_dim = d;
    views[h].tokens = n;
    views[h].k = head.k.data();
    views[h].v = head.v.data();
    views[h].positions = head.positions.data();
    views[h].scale = scales_[layer];
    if (window_ == 0) return;
    const size_t group = w.width / d / shape.kv_heads;
    queries[h].group = group;
    queries[h].tokens = w.filled[layer];
    queries[h].first = cache.length() - w.filled[layer];
    queries[h].stride = w.width;
    queries[h].q = w.rows.data() + layer * window_ * w.width + h * group * d;
  });
  KeepView view;
  view.layers = layers_;
  view.prompt = cache.length();
  view.heads = views;
  view.queries = queries;
  std::vector<std::vector<int32_t>> kept(shape.kv_heads);
  policy_->select(view, kept);
  for (size_t h = 0; h < shape.kv_heads; ++h) {
    const bool all = kept[h].size() == views[h].tokens;
    if (all) continue;
    const Folded folded = policy_->folds() ? policy_->fold(views[h], kept[h]) : Folded{};
    cache.keep(layer, h, kept[h], folded.v.empty() ? nullptr : folded.v.data());
  }
}

}  // namespace fathom::kv
