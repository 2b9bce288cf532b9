#include "kv/store_stage.h"

#include <algorithm>
#include <cstring>

namespace fathom::kv {

using kernel::kPageTokens;

StoreStage::StoreStage(ThreadPool& pool, const Store& store, size_t layers)
    : pool_(pool), choosers_(layers), scores_(layers), workers_(static_cast<size_t>(pool.size())) {
  for (size_t layer = 0; layer < layers; ++layer) {
    const PageChooser* chooser = store.of(layer).chooser();
    choosers_[layer] = chooser;
    if (!chooser) continue;
    window_ = std::max(window_, chooser->window());
    every_ = std::min(every_, chooser->every());
  }
}

void StoreStage::observe(const AttendLayer& layer, std::span<const SequenceRows> sequences) {
  if (!choosers_[layer.layer]) return;
  scores_[layer.layer] = {layer.scale, layer.soft_cap, layer.window};
  for (const SequenceRows& s : sequences) {
    StoreState& state = s.cache->store_state();
    const size_t width = layer.heads * s.cache->shape().head_dim;
    state.width = width;
    state.rows.resize(choosers_.size() * window_ * width);
    state.filled.resize(choosers_.size());
    float* rows = state.rows.data() + layer.layer * window_ * width;
    size_t& filled = state.filled[layer.layer];
    const size_t fresh = std::min(s.tokens, window_), old = std::min(filled, window_ - fresh);
    std::memmove(rows, rows + (filled - old) * width, old * width * sizeof(float));
    std::memcpy(rows + old * width, layer.q + (s.first_row + s.tokens - fresh) * width,
                fresh * width * sizeof(float));
    filled = old + fresh;
  }
}

void StoreStage::after_step(SequenceCache& cache) {
  if (window_ == 0 || cache.length() - cache.store_state().decided_at < every_) return;
  decide(cache);
}

void StoreStage::after_prompt(SequenceCache& cache) {
  if (window_ > 0) decide(cache);
}

void StoreStage::decide(SequenceCache& cache) {
  const size_t kv_heads = cache.shape().kv_heads;
  std::vector<std::vector<SequenceCache::Seal>> seals(choosers_.size() * kv_heads);
  pool_.run(seals.size(), [&](size_t i, int worker) {
    choose(cache, i / kv_heads, i % kv_heads, worker, seals[i]);
  });
  std::vector<SequenceCache::Seal> all;
  for (const auto& each : seals) all.insert(all.end(), each.begin(), each.end());
  // Portion by portion: what one leaves goes back to the system before the next.
  const size_t portion = std::max<size_t>(1024, all.size() / 8);
  for (size_t at = 0; at < all.size(); at += portion) {
    cache.seal(std::span(all).subspan(at, std::min(portion, all.size() - at)), pool_);
    cache.compact();
  }
  cache.store_state().decided_at = cache.length();
}

void StoreStage::choose(const SequenceCache& cache, size_t layer, size_t kv_head, int worker,
                        std::vector<SequenceCache::Seal>& seals) {
  const HeadCache& head = cache.head(layer, kv_head);
  if (!choosers_[layer] || cache.store_state().filled.empty()) return;
  std::vector<PageChooser::Page> pages(head.pages().size());
  bool any = false;
  for (size_t p = 0; p < pages.size(); ++p) {
    pages[p].coder = head.coder(p);
    pages[p].open = !pages[p].coder && (p + 1) * kPageTokens + head.codec().tail() <= head.length();
    any |= pages[p].open;
  }
  const size_t d = cache.shape().head_dim;
  const StoreState& state = cache.store_state();
  if (!any || state.filled[layer] == 0) return;
  Worker& w = workers_[static_cast<size_t>(worker)];
  HeadView view = stored_head(cache, layer, kv_head, w.keys, w.positions);
  view.scale = scores_[layer].scale;
  view.soft_cap = scores_[layer].soft_cap;
  view.window = scores_[layer].window;
  QueryView queries;
  queries.group = state.width / d / cache.shape().kv_heads;
  queries.tokens = state.filled[layer];
  queries.first = cache.length() - queries.tokens;
  queries.stride = state.width;
  queries.q = state.rows.data() + layer * window_ * state.width + kv_head * queries.group * d;
  const std::vector<PageChooser::Page> before = pages;
  choosers_[layer]->choose(view, queries, pages);
  for (size_t p = 0; p < pages.size(); ++p) {
    if (before[p].open && pages[p].coder) {
      seals.push_back({layer, kv_head, p, pages[p].coder, pages[p].channels});
    }
  }
}

}  // namespace fathom::kv
