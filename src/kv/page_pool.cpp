#include "kv/page_pool.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace fathom::kv {
namespace {

constexpr size_t kSlabBytes = size_t{2} << 20;  // a huge page

}  // namespace

PageRef::~PageRef() {
  if (page_ && --page_->references == 0) pool_->give_back(page_);
}

PageRef PageRef::share() const {
  ++page_->references;
  return {pool_, page_};
}

PagePool::PagePool(size_t budget_bytes) { stats_.budget_bytes = budget_bytes; }

PagePool::~PagePool() { FATHOM_CHECK(stats_.pages == 0); }

std::optional<PageRef> PagePool::take(size_t bytes) {
  if (bytes > free_bytes()) return std::nullopt;
  SizeClass& size_class = classes_[bytes];
  if (size_class.free.empty()) add_slab(size_class, bytes);
  if (free_headers_.empty()) {
    headers_.push_back(std::make_unique<Page>());
    free_headers_.push_back(headers_.back().get());
  }
  Page* page = free_headers_.back();
  free_headers_.pop_back();
  page->data.bytes = size_class.free.back();
  size_class.free.pop_back();
  page->references = 1;
  page->bytes = static_cast<uint32_t>(bytes);
  page->first_position = 0;
  page->coder = nullptr;
  std::memset(page->data.bytes, 0, bytes);
  stats_.used_bytes += bytes;
  stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.used_bytes);
  ++stats_.pages;
  return PageRef(this, page);
}

void PagePool::add_slab(SizeClass& size_class, size_t bytes) {
  const size_t count = std::max<size_t>(1, kSlabBytes / bytes);
  const size_t slab_bytes = std::max(count * bytes, kSlabBytes);
  if (stats_.held_bytes + slab_bytes > stats_.budget_bytes) release_free_slabs();
  size_class.slabs.emplace_back(slab_bytes);
  size_class.slab_pages = count;
  stats_.held_bytes += slab_bytes;
  std::byte* slab = size_class.slabs.back().data();
  for (size_t i = count; i-- > 0;) size_class.free.push_back(slab + i * bytes);
}

// Each page to the lowest free place of its size, the highest pages first, as long as that is
// lower.
void PagePool::compact(std::span<Page* const> pages) {
  std::map<size_t, std::vector<Page*>> of_size;
  for (Page* page : pages) of_size[page->bytes].push_back(page);
  for (auto& [bytes, movable] : of_size) {
    std::vector<std::byte*>& free = classes_[bytes].free;
    std::sort(free.begin(), free.end());
    std::sort(movable.begin(), movable.end(),
              [](const Page* a, const Page* b) { return a->data.bytes > b->data.bytes; });
    for (size_t i = 0; i < std::min(free.size(), movable.size()); ++i) {
      FATHOM_DCHECK(movable[i]->references == 1);
      if (free[i] > movable[i]->data.bytes) break;
      std::memcpy(free[i], movable[i]->data.bytes, bytes);
      std::swap(free[i], movable[i]->data.bytes);
    }
  }
  release_free_slabs();
}

// Gives memory back in which no page is used: a policy that encodes the pages of a prompt leaves
// much of it behind.
void PagePool::release_free_slabs() {
  for (auto& entry : classes_) {  // no structured binding: the lambda below captures both
    const size_t size = entry.first;
    SizeClass& c = entry.second;
    std::sort(c.free.begin(), c.free.end());
    std::erase_if(c.slabs, [&](const Buffer<std::byte>& slab) {
      const auto first = std::lower_bound(c.free.begin(), c.free.end(), slab.data());
      const auto last = std::lower_bound(first, c.free.end(), slab.data() + c.slab_pages * size);
      if (static_cast<size_t>(last - first) < c.slab_pages) return false;
      c.free.erase(first, last);
      stats_.held_bytes -= slab.size();
      return true;
    });
  }
}

void PagePool::give_back(Page* page) {
  stats_.used_bytes -= page->bytes;
  --stats_.pages;
  classes_[page->bytes].free.push_back(page->data.bytes);
  page->positions.reset();
  free_headers_.push_back(page);
}

}  // namespace fathom::kv
