// All pages of an engine, under one byte budget.
//
// A Page is 64 tokens of one kv head of one layer, reference counted. Shared pages are immutable:
// whoever wants to write to one takes a copy first (HeadCache does). The pool never exceeds its
// budget: take() returns nothing when it is full, which is a normal day for the caller. Pages that
// were given back are kept for the next of their size, until that would make memory exceed the
// budget, or somebody who gave back many asks for compact().
//
// Not thread-safe: only the engine's own thread takes and gives back pages, between parallel steps;
// the memory of pages may be read and written in parallel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "kernel/attention.h"
#include "kv/store/codec.h"

namespace fathom::kv {

class PagePool;

struct Page {
  PageData data;
  uint32_t references = 0;
  uint32_t bytes = 0;
  int32_t first_position = 0;
  const StoreCodec* coder = nullptr;  // that encoded it; null: it is plain
  // Positions of the slots where they are not consecutive from first_position.
  std::unique_ptr<int32_t[]> positions;
};

// A counted reference to a page; gives it back when the last one dies. Move-only; share() makes
// another.
class PageRef {
 public:
  PageRef() = default;
  PageRef(PageRef&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), page_(std::exchange(other.page_, nullptr)) {}
  PageRef& operator=(PageRef&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(page_, other.page_);
    return *this;
  }
  ~PageRef();

  PageRef share() const;
  bool shared() const { return page_->references > 1; }
  Page& operator*() const { return *page_; }
  Page* operator->() const { return page_; }

 private:
  friend class PagePool;
  PageRef(PagePool* pool, Page* page) : pool_(pool), page_(page) {}
  PagePool* pool_ = nullptr;
  Page* page_ = nullptr;
};

struct PoolStats {
  size_t budget_bytes = 0;
  size_t used_bytes = 0;  // in pages somebody holds
  size_t peak_bytes = 0;
  size_t pages = 0;
  size_t held_bytes = 0;  // of memory, free pages included
};

class PagePool {
 public:
  explicit PagePool(size_t budget_bytes);
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;
  // REQUIRES: every page was given back.
  ~PagePool();

  // A page of that many bytes, all zero; nothing where the budget does not allow it.
  std::optional<PageRef> take(size_t bytes);
  // Gives memory back that free pages lie in, after these pages, which nobody shares, were moved to
  // where they empty most of it.
  void compact(std::span<Page* const> pages);
  size_t free_bytes() const { return stats_.budget_bytes - stats_.used_bytes; }
  const PoolStats& stats() const { return stats_; }

 private:
  friend class PageRef;
  // Pages of one size are cut from slabs and kept in a free list.
  struct SizeClass {
    std::vector<Buffer<std::byte>> slabs;
    std::vector<std::byte*> free;
    size_t slab_pages = 0;
  };
  void give_back(Page* page);
  void add_slab(SizeClass& size_class, size_t bytes);
  void release_free_slabs();

  PoolStats stats_;
  std::map<size_t, SizeClass> classes_;  // by bytes of a page
  std::vector<std::unique_ptr<Page>> headers_;
  std::vector<Page*> free_headers_;
};

}  // namespace fathom::kv
