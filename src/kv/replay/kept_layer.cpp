#include "kv/replay/kept_layer.h"

#include <algorithm>
#include <cmath>

#include "kv/attention_rows.h"
#include "kv/extra_token.h"

namespace fathom::kv {
namespace {

// x = its rows at `kept`.
template <class T>
void gather(std::vector<T>& x, std::span<const int32_t> kept, size_t width) {
  if (x.empty()) return;
  for (size_t i = 0; i < kept.size(); ++i) {
    const size_t from = static_cast<size_t>(kept[i]) * width;
    std::copy_n(x.begin() + static_cast<ptrdiff_t>(from), width,
                x.begin() + static_cast<ptrdiff_t>(i * width));
  }
  x.resize(kept.size() * width);
}

void append_rows(std::vector<float>& to, const float* from, size_t first, size_t count, size_t d) {
  to.insert(to.end(), from + first * d, from + (first + count) * d);
}

}  // namespace

std::unique_ptr<RecordedRope> recorded_rope(const Recording& recording) {
  if (!recording.rope_base()) return nullptr;
  auto rope = std::make_unique<RecordedRope>();
  const double d = static_cast<double>(recording.head_dim());
  for (size_t i = 0; i < recording.head_dim() / 2; ++i) {
    rope->frequencies.push_back(
        std::pow(*recording.rope_base(), -2.0 * static_cast<double>(i) / d));
  }
  rope->view = {rope->frequencies, 1.0, recording.rope_style()};
  return rope;
}

KeptLayer::KeptLayer(const Recording& recording, size_t layers, Heads heads)
    : recording_(&recording), rope_(recorded_rope(recording)) {
  const bool shared = heads == Heads::kShared;
  group_ = shared ? recording.group() : 1;
  heads_.resize(shared ? recording.kv_heads() : recording.heads());
  view_.layers = layers;
  view_.prompt = recording.prompt();
}

HeadView KeptLayer::source(size_t head) const {
  const size_t kv_head = head * group_ / recording_->group();
  HeadView view = recording_->head(kv_head, recording_->tokens());
  const size_t at = kv_head * view.tokens * view.head_dim;
  if (k_) view.k = k_ + at;
  if (v_) view.v = v_ + at;
  return view;
}

HeadView KeptLayer::view(size_t head) const {
  const Head& h = heads_[head];
  HeadView view = source(head);
  view.kv_head = head;
  view.tokens = h.positions.size();
  view.k = h.k.data();
  view.v = h.v.data();
  view.k_unrotated = h.k_unrotated.empty() ? nullptr : h.k_unrotated.data();
  view.positions = h.positions.data();
  view.rope = rope_ ? &rope_->view : nullptr;
  return view;
}

QueryView KeptLayer::queries(size_t head, size_t first, size_t tokens) const {
  QueryView view = recording_->queries(head * group_ / recording_->group(), first, tokens);
  const size_t within = head * group_ % recording_->group() * recording_->head_dim();
  view.q += within;
  if (view.q_unrotated) view.q_unrotated += within;
  view.group = group_;
  return view;
}

void KeptLayer::append_to(size_t head, size_t tokens) {
  Head& h = heads_[head];
  const HeadView from = source(head);
  const size_t d = from.head_dim;
  for (size_t i = 0; i < tokens; ++i) h.positions.push_back(static_cast<int32_t>(read_ + i));
  append_rows(h.k, from.k, read_, tokens, d);
  append_rows(h.v, from.v, read_, tokens, d);
  if (from.k_unrotated) append_rows(h.k_unrotated, from.k_unrotated, read_, tokens, d);
  h.received.resize(h.positions.size());
}

const KeepView& KeptLayer::append(size_t tokens, const KeepNeeds& needs) {
  const size_t first = read_;
  for (size_t h = 0; h < heads(); ++h) append_to(h, tokens);
  read_ += tokens;
  head_views_.clear(), query_views_.clear(), received_views_.clear();
  const size_t window = std::min(needs.window, read_);
  std::vector<float> sums;
  for (size_t h = 0; h < heads(); ++h) {
    head_views_.push_back(view(h));
    query_views_.push_back(queries(h, read_ - window, window));
    if (!needs.received) continue;
    sums.resize(head_views_[h].tokens);
    received_attention(head_views_[h], queries(h, first, tokens), sums);
    for (size_t t = 0; t < sums.size(); ++t) heads_[h].received[t] += sums[t];
    received_views_.push_back(heads_[h].received.data());
  }
  view_.heads = head_views_;
  view_.queries = query_views_;
  view_.received = received_views_;
  return view_;
}

void KeptLayer::apply(const KeepPolicy& policy, const std::vector<std::vector<int32_t>>& kept) {
  for (size_t i = 0; i < heads(); ++i) {
    Head& h = heads_[i];
    Folded folded;
    if (policy.folds()) folded = policy.fold(view(i), kept[i]);
    // As in a cache: it has no position that a window could leave behind.
    if (folded.count > 0 && recording_->window() == 0) {
      add_to_extra(h.extra, folded.extra_k, folded.extra_v, static_cast<double>(folded.count));
    }
    const size_t d = recording_->head_dim();
    gather(h.k, kept[i], d);
    gather(h.v, kept[i], d);
    gather(h.k_unrotated, kept[i], d);
    gather(h.positions, kept[i], 1);
    gather(h.received, kept[i], 1);
    if (!folded.v.empty()) h.v = std::move(folded.v);
  }
}

}  // namespace fathom::kv
