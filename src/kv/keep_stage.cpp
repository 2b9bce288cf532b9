#include "kv/keep_stage.h"

#include <algorithm>
#include <cstring>

#include "kv/attention_rows.h"
#include "kv/rope.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

// x[i] = x[kept[i]]
void gather(std::vector<float>& x, std::span<const int32_t> kept) {
  for (size_t i = 0; i < kept.size(); ++i) x[i] = x[static_cast<size_t>(kept[i])];
  x.resize(kept.size());
}

}  // namespace

KeepStage::KeepStage(ThreadPool& pool, std::shared_ptr<const KeepPolicy> policy, size_t layers)
    : pool_(pool), policy_(std::move(policy)) {
  if (!policy_) return;
  needs_ = policy_->needs();
  layers_.resize(layers);
  workers_.resize(static_cast<size_t>(pool.size()));
}

void KeepStage::observe(const AttendLayer& layer, std::span<const SequenceRows> sequences) {
  if (!policy_ || sequences.empty()) return;
  layers_[layer.layer] = {layer.scale, layer.soft_cap, layer.window, layer.rope};
  for (const SequenceRows& s : sequences) {
    if (needs_.window > 0) remember(layer, s);
  }
  if (!needs_.received) return;
  const size_t kv_heads = sequences[0].cache->shape().kv_heads;
  for (const SequenceRows& s : sequences) {
    s.cache->keep_state().received.resize(layers_.size() * kv_heads);
  }
  pool_.run(sequences.size() * kv_heads, [&](size_t i, int worker) {
    add_received(layer, sequences[i / kv_heads], i % kv_heads,
                 workers_[static_cast<size_t>(worker)]);
  });
}

// Shifts the layer's queries to make room for the newest.
void KeepStage::remember(const AttendLayer& layer, const SequenceRows& s) {
  KeepState& state = s.cache->keep_state();
  const size_t width = layer.heads * s.cache->shape().head_dim, window = needs_.window;
  state.width = width;
  state.rows.resize(layers_.size() * window * width);
  state.filled.resize(layers_.size());
  float* rows = state.rows.data() + layer.layer * window * width;
  size_t& filled = state.filled[layer.layer];
  const size_t fresh = std::min(s.tokens, window);
  const size_t old = std::min(filled, window - fresh);
  std::memmove(rows, rows + (filled - old) * width, old * width * sizeof(float));
  std::memcpy(rows + old * width, layer.q + (s.first_row + s.tokens - fresh) * width,
              fresh * width * sizeof(float));
  filled = old + fresh;
}

void KeepStage::add_received(const AttendLayer& layer, const SequenceRows& s, size_t kv_head,
                             Head& scratch) {
  const CacheShape& shape = s.cache->shape();
  const size_t d = shape.head_dim, group = layer.heads / shape.kv_heads;
  const HeadView head = view(*s.cache, layer.layer, kv_head, scratch);
  QueryView rows;
  rows.group = group;
  rows.tokens = s.tokens;
  rows.first = s.cache->length() - s.tokens;
  rows.stride = layer.heads * d;
  rows.q = layer.q + s.first_row * rows.stride + kv_head * group * d;
  std::vector<float>& received =
      s.cache->keep_state().received[layer.layer * shape.kv_heads + kv_head];
  received.resize(head.tokens);
  add_received_attention(head, rows, received);
}

void KeepStage::after_step(SequenceCache& cache, Phase phase) {
  if (!policy_) return;
  const bool asked =
      phase == Phase::kReading ? policy_->evicts_while_reading() : policy_->evicts_while_decoding();
  if (asked && cache.length() - cache.keep_state().evicted_at >= kernel::kPageTokens) evict(cache);
}

void KeepStage::after_prompt(SequenceCache& cache) {
  if (policy_ && cache.length() > cache.keep_state().evicted_at) evict(cache);
}

void KeepStage::evict(SequenceCache& cache) {
  for (size_t layer = 0; layer < layers_.size(); ++layer) evict_layer(cache, layer);
  cache.keep_state().evicted_at = cache.length();
}

// The head's keys and positions, read into its scratch.
HeadView KeepStage::view(const SequenceCache& cache, size_t layer, size_t kv_head,
                         Head& head) const {
  HeadView view = stored_head(cache, layer, kv_head, head.k, head.positions);
  view.scale = layers_[layer].scale;
  view.soft_cap = layers_[layer].soft_cap;
  view.window = layers_[layer].window;
  view.rope = &layers_[layer].rope;
  return view;
}

// The last queries of the view's query heads.
QueryView KeepStage::queries(SequenceCache& cache, const HeadView& view, Head& head) const {
  const KeepState& state = cache.keep_state();
  const size_t d = view.head_dim;
  QueryView out;
  if (needs_.window == 0) return out;
  out.group = state.width / d / cache.shape().kv_heads;
  out.tokens = state.filled[view.layer];
  out.first = cache.length() - out.tokens;
  out.stride = state.width;
  const size_t at = view.kv_head * out.group * d;
  out.q = state.rows.data() + view.layer * needs_.window * state.width + at;
  if (!needs_.unrotated) return out;
  // In the same layout, but only this head's queries: the others of a row are left as they were.
  head.q_unrotated.resize(out.tokens * out.stride);
  out.q_unrotated = head.q_unrotated.data() + at;
  for (size_t t = 0; t < out.tokens; ++t) {
    const auto back = Rotation::inverse(*view.rope, static_cast<double>(out.first + t));
    for (size_t g = 0; g < out.group; ++g) {
      back.apply(out.row(t, g, d), d, head.q_unrotated.data() + at + t * out.stride + g * d);
    }
  }
  return out;
}

void KeepStage::evict_layer(SequenceCache& cache, size_t layer) {
  const size_t kv_heads = cache.shape().kv_heads, d = cache.shape().head_dim;
  heads_.resize(kv_heads);
  std::vector<HeadView> views(kv_heads);
  std::vector<QueryView> windows(kv_heads);
  const TextView text = cache.text().view();
  pool_.run(kv_heads, [&](size_t h, int) {
    Head& head = heads_[h];
    views[h] = view(cache, layer, h, head);
    head.v.ensure(views[h].tokens * d);
    cache.read_values(layer, h, 0, {head.v.data(), views[h].tokens * d});
    views[h].v = head.v.data();
    views[h].text = &text;
    windows[h] = queries(cache, views[h], head);
  });
  std::vector<const float*> received;
  for (size_t h = 0; h < kv_heads && needs_.received; ++h) {
    received.push_back(cache.keep_state().received[layer * kv_heads + h].data());
  }
  KeepView asked;
  asked.layers = layers_.size();
  asked.prompt = cache.length();
  asked.heads = views;
  asked.queries = windows;
  asked.received = received;
  std::vector<std::vector<int32_t>> kept(kv_heads);
  policy_->select(asked, kept);
  for (size_t h = 0; h < kv_heads; ++h) {
    if (kept[h].size() < views[h].tokens) leave(cache, views[h], kept[h]);
  }
}

// Takes out of the cache what is not among `kept`.
void KeepStage::leave(SequenceCache& cache, const HeadView& head, std::span<const int32_t> kept) {
  const Folded folded = policy_->folds() ? policy_->fold(head, kept) : Folded{};
  cache.keep(head.layer, head.kv_head, kept, folded.v.empty() ? nullptr : folded.v.data());
  if (policy_->moving_sinks() > 0) move_sinks(cache, head, kept.size());
  // What stands for dropped tokens has no position that a sliding window could leave behind.
  if (folded.count > 0 && layers_[head.layer].window == 0) {
    cache.add_extra(head.layer, head.kv_head,
                    {folded.extra_k, folded.extra_v, static_cast<double>(folded.count)});
  }
  if (needs_.received) {
    gather(cache.keep_state().received[head.layer * cache.shape().kv_heads + head.kv_head], kept);
  }
}

// Turns the first keys on by as many positions as were ever dropped of the head: from what they
// were at first, so that nothing piles up. `head` is as it was before tokens were taken out.
void KeepStage::move_sinks(SequenceCache& cache, const HeadView& head, size_t kept) {
  const size_t d = head.head_dim, sinks = std::min(policy_->moving_sinks(), kept);
  auto& all = cache.keep_state().sinks;
  all.resize(layers_.size() * cache.shape().kv_heads);
  std::vector<float>& first = all[head.layer * cache.shape().kv_heads + head.kv_head];
  if (first.empty()) first.assign(head.k, head.k + sinks * d);
  RopeView turn = layers_[head.layer].rope;
  turn.magnitude = 1.0;
  const Rotation on(turn, static_cast<double>(cache.length() - kept));
  std::vector<float> moved(first.size());
  for (size_t at = 0; at < first.size(); at += d) on.apply(first.data() + at, d, moved.data() + at);
  cache.replace_keys(head.layer, head.kv_head, moved);
}

}  // namespace fathom::kv
