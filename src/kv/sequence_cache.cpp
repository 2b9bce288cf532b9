#include "kv/sequence_cache.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"

namespace fathom::kv {

using kernel::kPageTokens;

SequenceCache::SequenceCache(PagePool& pool, std::shared_ptr<const StoreCodec> codec,
                             const CacheShape& shape)
    : pool_(&pool),
      codec_(std::move(codec)),
      shape_(shape),
      heads_(shape.layers * shape.kv_heads) {}

size_t SequenceCache::bytes_for(size_t tokens) const {
  if (tokens == 0) return 0;
  const size_t pages = ceil_div(length_ + tokens, kPageTokens) - ceil_div(length_, kPageTokens);
  size_t copies = 0;
  if (length_ % kPageTokens != 0) {
    for (const HeadCache& head : heads_) copies += head.pages_.back().shared();
  }
  return (pages * heads_.size() + copies) * codec_->page_bytes(shape_.head_dim);
}

size_t SequenceCache::bytes() const {
  size_t pages = 0;
  for (const HeadCache& head : heads_) pages += head.pages_.size();
  return pages * codec_->page_bytes(shape_.head_dim);
}

void SequenceCache::extend(size_t tokens) {
  const size_t bytes = bytes_for(tokens);
  if (bytes > pool_->free_bytes()) {
    throw with_hint(out_of_memory("KV cache", "{} more tokens need {} bytes, {} of {} are free",
                                  tokens, bytes, pool_->free_bytes(), pool_->stats().budget_bytes),
                    "give the cache more memory, a smaller context, or a smaller store format");
  }
  for (HeadCache& head : heads_) extend_head(head, tokens);
  length_ += tokens;
}

void SequenceCache::extend_head(HeadCache& head, size_t tokens) {
  const size_t page_bytes = codec_->page_bytes(shape_.head_dim);
  const size_t used = head.length_ % kPageTokens;
  const size_t last = head.pages_.size();
  if (used != 0 && head.pages_.back().shared()) {
    PageRef copy = std::move(*pool_->take(page_bytes));
    const Page& old = *head.pages_.back();
    std::memcpy(copy->data.bytes, old.data.bytes, page_bytes);
    copy->first_position = old.first_position;
    head.pages_.back() = std::move(copy);
  }
  head.length_ += tokens;
  while (head.pages_.size() * kPageTokens < head.length_) {
    PageRef page = std::move(*pool_->take(page_bytes));
    page->first_position = static_cast<int32_t>(head.pages_.size() * kPageTokens);
    head.pages_.push_back(std::move(page));
  }
  head.views_.resize(head.pages_.size());
  for (size_t p = last == 0 ? 0 : last - 1; p < head.pages_.size(); ++p) set_view(head, p);
}

void SequenceCache::set_view(HeadCache& head, size_t p) const {
  const Page& page = *head.pages_[p];
  const size_t filled = std::min(kPageTokens, head.length_ - p * kPageTokens);
  head.views_[p] = {page.data.bytes, page.data.bytes + codec_->key_bytes(shape_.head_dim),
                    static_cast<int32_t>(filled), page.first_position, page.positions.get()};
}

void SequenceCache::write(size_t layer, size_t kv_head, size_t first, const Rows& rows) {
  HeadCache& head = heads_[layer * shape_.kv_heads + kv_head];
  FATHOM_DCHECK(first + rows.tokens <= head.length_);
  for (size_t i = 0; i < rows.tokens; ++i) {
    const size_t at = first + i;
    const Page& page = *head.pages_[at / kPageTokens];
    codec_->write(page.data, shape_.head_dim, at % kPageTokens, rows.k + i * rows.stride,
                  rows.v + i * rows.stride);
  }
}

SequenceCache SequenceCache::fork() const {
  SequenceCache copy(*pool_, codec_, shape_);
  copy.length_ = length_;
  for (size_t h = 0; h < heads_.size(); ++h) {
    HeadCache& to = copy.heads_[h];
    to.pages_.reserve(heads_[h].pages_.size());
    for (const PageRef& page : heads_[h].pages_) to.pages_.push_back(page.share());
    to.views_ = heads_[h].views_;
    to.length_ = heads_[h].length_;
  }
  return copy;
}

void SequenceCache::truncate(size_t length) {
  FATHOM_CHECK(length <= length_);
  for (HeadCache& head : heads_) {
    head.length_ = length;
    head.pages_.resize(ceil_div(length, kPageTokens));
    head.views_.resize(head.pages_.size());
    if (!head.pages_.empty()) set_view(head, head.pages_.size() - 1);
  }
  length_ = length;
}

}  // namespace fathom::kv
