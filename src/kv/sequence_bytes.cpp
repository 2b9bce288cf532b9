// What a sequence's cache takes: pages, what of them is filled, and what lies beside them.
#include "kv/sequence_cache.h"

namespace fathom::kv {
namespace {

template <class T>
size_t list_bytes(const std::vector<T>& list) {
  return list.size() * sizeof(T);
}

size_t index_bytes(const FetchState& state) {
  size_t bytes = 0;
  for (const FetchState::Head& head : state.heads) bytes += head.index ? head.index->bytes() : 0;
  for (const FetchState::Waiting& waiting : state.waiting) bytes += list_bytes(waiting.q);
  return bytes;
}

size_t keep_bytes(const KeepState& state) {
  size_t bytes = list_bytes(state.rows);
  for (const auto* lists : {&state.received, &state.sinks}) {
    for (const std::vector<float>& list : *lists) bytes += list_bytes(list);
  }
  return bytes;
}

}  // namespace

size_t SequenceCache::bytes() const {
  size_t bytes = 0;
  for (const HeadCache& head : heads_) {
    for (const PageRef& page : head.pages_) bytes += page->bytes;
  }
  return bytes;
}

size_t SequenceCache::filled_bytes() const {
  size_t bytes = 0;
  for (const HeadCache& head : heads_) {
    for (size_t p = 0; p < head.pages_.size(); ++p) {
      const auto tokens = static_cast<size_t>(head.views_[p].tokens);
      bytes += head.pages_[p]->bytes * tokens / kernel::kPageTokens;
    }
  }
  return bytes;
}

size_t SequenceCache::side_bytes() const {
  size_t bytes = index_bytes(fetch_) + keep_bytes(keep_) + list_bytes(state_.rows);
  bytes += list_bytes(text_.surprise) + list_bytes(text_.next) + list_bytes(text_.sentence_ends) +
           list_bytes(text_.chosen.places);
  for (const HeadCache& head : heads_) {
    bytes += list_bytes(head.extra_.k) + list_bytes(head.extra_.v);
    for (const PageRef& page : head.pages_) {
      if (page->positions) bytes += kernel::kPageTokens * sizeof(int32_t);
    }
  }
  return bytes;
}

}  // namespace fathom::kv
