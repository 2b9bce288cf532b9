#include "kv/sequence_cache.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "kernel/page_code.h"
#include "kv/extra_token.h"

namespace fathom::kv {

using kernel::kPageTokens;

namespace {

// The row in the store's frame: itself, or a copy in `memory`.
const float* framed(const Frame* frame, HeadId head, const float* row, size_t head_dim,
                    std::vector<float>& memory) {
  if (!frame) return row;
  memory.assign(row, row + head_dim);
  frame->enter(head, memory.data(), head_dim);
  return memory.data();
}

std::unique_ptr<int32_t[]> copy_positions(const Page& page) {
  if (!page.positions) return nullptr;
  auto copy = std::make_unique<int32_t[]>(kPageTokens);
  std::copy_n(page.positions.get(), kPageTokens, copy.get());
  return copy;
}

}  // namespace

FetchState FetchState::clone() const {
  FetchState copy;
  for (const Head& head : heads) {
    copy.heads.push_back({head.index ? head.index->clone() : nullptr, head.told, head.left});
  }
  copy.waiting = waiting;
  return copy;
}

SequenceCache::SequenceCache(PagePool& pool, Store store, const CacheShape& shape)
    : pool_(&pool), store_(std::move(store)), shape_(shape), heads_(shape.layers * shape.kv_heads) {
  for (size_t h = 0; h < heads_.size(); ++h) {
    heads_[h].id_ = {h / shape.kv_heads, h % shape.kv_heads};
    heads_[h].codec_ = &store_.of(heads_[h].id_.layer);
  }
}

// The page that new tokens go to first is somebody else's too, or encoded.
bool SequenceCache::last_page_needs_copy(const HeadCache& head) const {
  return head.length_ % kPageTokens != 0 &&
         (head.pages_.back().shared() || head.pages_.back()->coder);
}

size_t SequenceCache::bytes_for(size_t tokens) const {
  if (tokens == 0) return 0;
  size_t bytes = 0;
  for (const HeadCache& head : heads_) {
    size_t pages =
        ceil_div(head.length_ + tokens, kPageTokens) - ceil_div(head.length_, kPageTokens);
    pages += last_page_needs_copy(head);
    bytes += pages * head.codec().page_bytes(shape_.head_dim);
  }
  return bytes;
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
  if (ledger_) ledger_->resize(length_);
}

void SequenceCache::keep_ledger() {
  ledger_ = std::make_unique<Ledger>();
  ledger_->resize(length_);
}

PageRef SequenceCache::plain_copy(const HeadCache& head, const PageRef& from, size_t slots) {
  const StoreCodec& codec = head.codec();
  const size_t d = shape_.head_dim;
  PageRef copy = std::move(*pool_->take(codec.page_bytes(d)));
  copy->first_position = from->first_position;
  copy->positions = copy_positions(*from);
  if (!from->coder) {
    std::memcpy(copy->data.bytes, from->data.bytes, codec.page_bytes(d));
    return copy;
  }
  std::vector<float> k(d), v(d);
  for (size_t slot = 0; slot < slots; ++slot) {
    from->coder->read_sealed(from->data, d, slot, k.data(), v.data());
    codec.write(copy->data, d, slot, k.data(), v.data());
  }
  return copy;
}

void SequenceCache::extend_head(HeadCache& head, size_t tokens) {
  const size_t last = head.pages_.size();
  if (last_page_needs_copy(head)) {
    head.pages_.back() = plain_copy(head, head.pages_.back(), head.length_ % kPageTokens);
    head.sealed_ = std::min(head.sealed_, last - 1);
  }
  const size_t left_out = length_ - head.length_;  // positions are ahead of indices by so many
  if (const size_t used = head.length_ % kPageTokens; used != 0 && head.pages_.back()->positions) {
    for (size_t slot = used; slot < kPageTokens; ++slot) {
      head.pages_.back()->positions[slot] = static_cast<int32_t>(length_ + slot - used);
    }
  }
  head.length_ += tokens;
  while (head.pages_.size() * kPageTokens < head.length_) {
    PageRef page = std::move(*pool_->take(head.codec().page_bytes(shape_.head_dim)));
    page->first_position = static_cast<int32_t>(head.pages_.size() * kPageTokens + left_out);
    head.pages_.push_back(std::move(page));
  }
  head.views_.resize(head.pages_.size());
  for (size_t p = last == 0 ? 0 : last - 1; p < head.pages_.size(); ++p) set_view(head, p);
}

void SequenceCache::set_view(HeadCache& head, size_t p) const {
  const Page& page = *head.pages_[p];
  const size_t d = shape_.head_dim;
  const size_t filled = std::min(kPageTokens, head.length_ - p * kPageTokens);
  const StoreCodec& codec = page.coder ? *page.coder : head.codec();
  const size_t keys = page.coder ? codec.sealed_key_bytes(d) : codec.key_bytes(d);
  const kernel::KvFormat plain = codec.format();
  head.views_[p] = {page.data.bytes,
                    page.data.bytes + keys,
                    static_cast<int32_t>(filled),
                    page.first_position,
                    page.positions.get(),
                    page.coder ? codec.sealed_key_format() : plain,
                    page.coder ? codec.sealed_value_format() : plain};
  if (!page.coder) return;
  if (const StoreCodec::Thin thin = codec.thin(page.data, d); thin.keys) {
    head.views_[p].k = thin.keys;
    head.views_[p].channels = thin.channels.data();
    head.views_[p].channel_count = static_cast<uint16_t>(thin.channels.size());
  }
}

void SequenceCache::seal(ThreadPool& pool) {
  std::vector<Seal> work;
  for (HeadCache& head : heads_) {
    if (!head.codec().seals()) continue;
    const size_t tail = std::min(head.length_, head.codec().tail());
    const size_t full = (head.length_ - tail) / kPageTokens;
    for (size_t p = head.sealed_; p < full; ++p) {
      if (head.pages_[p]->coder) continue;
      work.push_back({head.id_.layer, head.id_.kv_head, p, &head.codec(), {}});
    }
  }
  if (!work.empty()) seal(work, pool);
  for (HeadCache& head : heads_) {
    while (head.sealed_ < head.pages_.size() && head.pages_[head.sealed_]->coder) ++head.sealed_;
  }
}

// As many at once as there is room for: what they were is given back before the next.
void SequenceCache::seal(std::span<const Seal> pages, ThreadPool& pool) {
  while (!pages.empty()) {
    const size_t done = seal_some(pages, pool);
    if (done == 0) return;  // what is left stays plain
    pages = pages.subspan(done);
  }
}

size_t SequenceCache::seal_some(std::span<const Seal> pages, ThreadPool& pool) {
  const size_t d = shape_.head_dim;
  const auto head_of = [&](const Seal& s) -> HeadCache& {
    return heads_[s.layer * shape_.kv_heads + s.kv_head];
  };
  std::vector<PageRef> sealed;
  for (const Seal& s : pages) {
    std::optional<PageRef> page = pool_->take(s.coder->sealed_bytes(d));
    if (!page) break;
    sealed.push_back(std::move(*page));
  }
  pool.run(sealed.size(), [&](size_t i, int) {
    const Page& from = *head_of(pages[i]).pages_[pages[i].page];
    const Seal& s = pages[i];
    if (s.channels) {
      s.coder->seal_thin(from.data, d, *s.channels, sealed[i]->data);
    } else {
      s.coder->seal(from.data, d, sealed[i]->data);
    }
  });
  for (size_t i = 0; i < sealed.size(); ++i) {
    HeadCache& head = head_of(pages[i]);
    PageRef& page = head.pages_[pages[i].page];
    sealed[i]->coder = pages[i].coder;
    sealed[i]->first_position = page->first_position;
    sealed[i]->positions = copy_positions(*page);
    page = std::move(sealed[i]);
    set_view(head, pages[i].page);
  }
  return sealed.size();
}

void SequenceCache::compact() {
  std::vector<Page*> own;
  for (const HeadCache& head : heads_) {
    for (const PageRef& page : head.pages_) {
      if (!page.shared()) own.push_back(&*page);
    }
  }
  pool_->compact(own);
  for (HeadCache& head : heads_) {
    for (size_t p = 0; p < head.pages_.size(); ++p) set_view(head, p);
  }
}

void SequenceCache::write(size_t layer, size_t kv_head, size_t first, const Rows& rows) {
  HeadCache& head = heads_[layer * shape_.kv_heads + kv_head];
  const size_t index = first - (length_ - head.length_);
  FATHOM_DCHECK(index + rows.tokens <= head.length_);
  const size_t d = shape_.head_dim;
  thread_local std::vector<float> k, v;
  for (size_t i = 0; i < rows.tokens; ++i) {
    const size_t at = index + i;
    const Page& page = *head.pages_[at / kPageTokens];
    const float* key = framed(head.codec().key_frame(), head.id_, rows.k + i * rows.stride, d, k);
    const float* value =
        framed(head.codec().value_frame(), head.id_, rows.v + i * rows.stride, d, v);
    head.codec().write(page.data, d, at % kPageTokens, key, value);
  }
}

void HeadCache::copy_token(size_t d, size_t index, PageData to, size_t slot) const {
  const Page& from = *pages_[index / kPageTokens];
  if (!from.coder) {
    codec_->copy_slot(from.data, index % kPageTokens, to, slot, d);
    return;
  }
  std::vector<float> k(d), v(d);
  from.coder->read_sealed(from.data, d, index % kPageTokens, k.data(), v.data());
  codec_->write(to, d, slot, k.data(), v.data());
}

void HeadCache::copy_run(size_t d, Run run, PageData to) const {
  for (size_t done = 0; done < run.n;) {
    const size_t index = run.first + done, slot = index % kPageTokens;
    const size_t n = std::min(kPageTokens - slot, run.n - done);
    const Page& from = *pages_[index / kPageTokens];
    if (!from.coder) {
      codec_->copy_slots({from.data, slot}, {to, done}, n, d);
    } else {
      for (size_t i = 0; i < n; ++i) copy_token(d, index + i, to, done + i);
    }
    done += n;
  }
}

void SequenceCache::read_rows(const HeadCache& head, size_t first, std::span<float> out,
                              Plane plane) const {
  const size_t d = shape_.head_dim, end = first + out.size() / d;
  FATHOM_DCHECK(end <= head.length_);
  std::vector<float> whole(kPageTokens * d);
  for (size_t at = first; at < end;) {
    const size_t slot = at % kPageTokens, n = std::min(kPageTokens - slot, end - at);
    plane.rows(head.views_[at / kPageTokens], d, whole.data());
    float* to = out.data() + (at - first) * d;
    std::copy_n(whole.data() + slot * d, n * d, to);
    for (size_t i = 0; plane.frame && i < n; ++i) plane.frame->leave(head.id_, to + i * d, d);
    at += n;
  }
}

void SequenceCache::read_keys(size_t layer, size_t kv_head, size_t first,
                              std::span<float> out) const {
  read_rows(head(layer, kv_head), first, out, {kernel::page_keys, codec(layer).key_frame()});
}

void SequenceCache::read_values(size_t layer, size_t kv_head, size_t first,
                                std::span<float> out) const {
  read_rows(head(layer, kv_head), first, out, {kernel::page_values, codec(layer).value_frame()});
}

// A plain page of these tokens; nothing where the pool is full.
std::optional<PageRef> SequenceCache::gather(const HeadCache& head, std::span<const int32_t> tokens,
                                             const float* values) {
  const size_t d = shape_.head_dim;
  const StoreCodec& codec = head.codec();
  std::optional<PageRef> page = pool_->take(codec.page_bytes(d));
  if (!page) return page;
  (*page)->positions = std::make_unique<int32_t[]>(kPageTokens);
  std::vector<float> k(d), v(d);
  for (size_t slot = 0; slot < tokens.size(); ++slot) {
    const size_t index = static_cast<size_t>(tokens[slot]);
    (*page)->positions[slot] = head.position(index);
    head.copy_token(d, index, (*page)->data, slot);
    if (!values) continue;
    codec.read((*page)->data, d, slot, k.data(), v.data());
    codec.write((*page)->data, d, slot, k.data(),
                framed(codec.value_frame(), head.id_, values + slot * d, d, v));
  }
  (*page)->first_position = (*page)->positions[0];
  return page;
}

void SequenceCache::keep(size_t layer, size_t kv_head, std::span<const int32_t> kept,
                         const float* values) {
  HeadCache& head = heads_[layer * shape_.kv_heads + kv_head];
  if (kept.size() == head.length_ && !values) return;
  std::vector<PageRef> pages;
  size_t sealed = 0;
  for (size_t at = 0; at < kept.size(); at += kPageTokens) {
    const auto tokens = kept.subspan(at, std::min(kPageTokens, kept.size() - at));
    const size_t first = static_cast<size_t>(tokens.front());
    const bool whole = tokens.size() == kPageTokens && first % kPageTokens == 0 &&
                       static_cast<size_t>(tokens.back()) == first + kPageTokens - 1;
    if (whole && !values) {
      pages.push_back(head.pages_[first / kPageTokens].share());
      if (sealed + 1 == pages.size() && pages.back()->coder) ++sealed;
      continue;
    }
    std::optional<PageRef> page =
        gather(head, tokens, values ? values + at * shape_.head_dim : nullptr);
    if (!page) {
      throw with_hint(out_of_memory("KV cache", "no room to gather {} kept tokens", kept.size()),
                      "give the cache more memory, or keep fewer tokens");
    }
    pages.push_back(std::move(*page));
  }
  fetch_ = {};
  whole_ = whole_ && kept.size() == head.length_;
  head.pages_ = std::move(pages);
  head.length_ = kept.size();
  head.sealed_ = sealed;
  head.views_.resize(head.pages_.size());
  for (size_t p = 0; p < head.pages_.size(); ++p) set_view(head, p);
}

void SequenceCache::replace_keys(size_t layer, size_t kv_head, std::span<const float> keys) {
  HeadCache& head = heads_[layer * shape_.kv_heads + kv_head];
  const size_t d = shape_.head_dim, tokens = keys.size() / d;
  FATHOM_DCHECK(tokens <= head.length_);
  std::vector<float> k(d), v(d), memory;
  for (size_t first = 0; first < tokens; first += kPageTokens) {
    const size_t p = first / kPageTokens;
    PageRef& page = head.pages_[p];
    if (page.shared() || page->coder) {
      if (head.codec().page_bytes(d) > pool_->free_bytes()) {
        throw with_hint(out_of_memory("KV cache", "no room to change the first keys"),
                        "give the cache more memory");
      }
      page = plain_copy(head, page, std::min(kPageTokens, head.length_ - first));
      head.sealed_ = std::min(head.sealed_, p);
      set_view(head, p);
    }
    for (size_t i = first; i < std::min(tokens, first + kPageTokens); ++i) {
      head.codec().read(page->data, d, i - first, k.data(), v.data());
      const float* key = framed(head.codec().key_frame(), head.id_, keys.data() + i * d, d, memory);
      head.codec().write(page->data, d, i - first, key, v.data());
    }
  }
  fetch_.heads.clear();
}

void SequenceCache::add_extra(size_t layer, size_t kv_head, const ExtraToken& tokens) {
  if (tokens.count == 0) return;
  HeadCache& head = heads_[layer * shape_.kv_heads + kv_head];
  const size_t d = shape_.head_dim;
  std::vector<float> k_memory, v_memory;
  const float* k = framed(head.codec().key_frame(), head.id_, tokens.k.data(), d, k_memory);
  const float* v = framed(head.codec().value_frame(), head.id_, tokens.v.data(), d, v_memory);
  add_to_extra(head.extra_, {k, d}, {v, d}, tokens.count);
}

SequenceCache SequenceCache::fork() const {
  SequenceCache copy(*pool_, store_, shape_);
  copy.length_ = length_;
  copy.whole_ = whole_;
  if (ledger_) copy.ledger_ = std::make_unique<Ledger>(*ledger_);
  copy.keep_ = keep_;
  copy.fetch_ = fetch_.clone();
  copy.text_ = text_;
  copy.state_ = state_;
  for (size_t h = 0; h < heads_.size(); ++h) {
    HeadCache& to = copy.heads_[h];
    to.pages_.reserve(heads_[h].pages_.size());
    for (const PageRef& page : heads_[h].pages_) to.pages_.push_back(page.share());
    to.views_ = heads_[h].views_;
    to.extra_ = heads_[h].extra_;
    to.length_ = heads_[h].length_;
    to.sealed_ = heads_[h].sealed_;
  }
  return copy;
}

void SequenceCache::truncate(size_t length) {
  FATHOM_CHECK(length <= length_);
  for (HeadCache& head : heads_) {
    size_t left = std::min(head.length_, length);
    while (left > 0 && head.position(left - 1) >= static_cast<int32_t>(length)) --left;
    head.length_ = left;
    head.pages_.resize(ceil_div(left, kPageTokens));
    head.sealed_ = std::min(head.sealed_, head.pages_.size());
    head.views_.resize(head.pages_.size());
    if (!head.pages_.empty()) set_view(head, head.pages_.size() - 1);
  }
  length_ = length;
  if (ledger_) ledger_->resize(length_);
  for (size_t h = 0; h < fetch_.heads.size(); ++h) {
    fetch_.heads[h].left = std::min(fetch_.heads[h].left, heads_[h].length_);
  }
  fetch_.waiting.clear();
  state_.decided_at = std::min(state_.decided_at, length);
  std::fill(state_.filled.begin(), state_.filled.end(), 0);
  keep_.evicted_at = std::min(keep_.evicted_at, length);
  std::fill(keep_.filled.begin(), keep_.filled.end(), 0);
  for (size_t h = 0; h < keep_.received.size(); ++h) keep_.received[h].resize(heads_[h].length_);
  cut_text();
  if (length > 0) return;
  whole_ = true;
  keep_.received.clear();
  for (HeadCache& head : heads_) head.extra_ = {};
}

int32_t SequenceCache::text_place(int32_t position) const {
  const auto at = static_cast<size_t>(position);
  const ChosenText& chosen = text_.chosen;
  if (at < chosen.places.size()) return chosen.places[at];
  return static_cast<int32_t>(at - chosen.places.size() + chosen.of);
}

void SequenceCache::cut_text() {
  if (ChosenText& chosen = text_.chosen; length_ < chosen.places.size()) {
    chosen.places.resize(length_);
    chosen.of = length_ == 0 ? 0 : static_cast<size_t>(chosen.places.back()) + 1;
  }
  text_.surprise.resize(std::min(text_.surprise.size(), length_));
  text_.next.clear();
  std::vector<int32_t>& ends = text_.sentence_ends;
  while (!ends.empty() && ends.back() > static_cast<int32_t>(length_)) ends.pop_back();
  text_.open_begin = static_cast<int32_t>(length_);
  text_.open.clear();
  text_.open_ends.clear();
}

HeadView stored_head(const SequenceCache& cache, size_t layer, size_t kv_head, Buffer<float>& keys,
                     std::vector<int32_t>& positions) {
  const HeadCache& stored = cache.head(layer, kv_head);
  HeadView view;
  view.layer = layer;
  view.kv_head = kv_head;
  view.head_dim = cache.shape().head_dim;
  view.tokens = stored.length();
  keys.ensure(view.tokens * view.head_dim);
  cache.read_keys(layer, kv_head, 0, {keys.data(), view.tokens * view.head_dim});
  positions.resize(view.tokens);
  for (size_t i = 0; i < view.tokens; ++i) positions[i] = stored.position(i);
  view.k = keys.data();
  view.positions = positions.data();
  return view;
}

}  // namespace fathom::kv
