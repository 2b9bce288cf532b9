#include "kv/page_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace fathom::kv {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

TEST(PagePool, GivesNothingBeyondItsBudget) {
  PagePool pool(kMiB);
  std::vector<PageRef> pages;
  while (std::optional<PageRef> page = pool.take(4096)) pages.push_back(std::move(*page));
  EXPECT_EQ(pages.size(), 256u);
  EXPECT_EQ(pool.free_bytes(), 0u);
  pages.pop_back();
  EXPECT_TRUE(pool.take(4096).has_value());
  EXPECT_FALSE(pool.take(4097).has_value());
}

// Pages of one size that were given back do not keep the memory that others need.
TEST(PagePool, MemoryFollowsTheBudgetWhenSizesChange) {
  PagePool pool(32 * kMiB);
  for (const size_t bytes : {size_t{16384}, size_t{2304}, size_t{9000}, size_t{16384}}) {
    std::vector<PageRef> pages;
    while (std::optional<PageRef> page = pool.take(bytes)) pages.push_back(std::move(*page));
    EXPECT_GE(pages.size() * bytes, 31 * kMiB);
    // A slab of 2 MiB may end in less than a page.
    EXPECT_LE(pool.stats().held_bytes, 34 * kMiB) << bytes;
  }
}

// One page of a hundred is left in every slab, some of them shared: two slabs are enough for them,
// and the shared ones stay where they are.
TEST(PagePool, CompactingGivesEmptiedMemoryBack) {
  PagePool pool(64 * kMiB);
  constexpr size_t kBytes = 16384;
  std::vector<PageRef> pages, left, others;
  for (size_t i = 0; i < 2048; ++i) pages.push_back(*pool.take(kBytes));
  EXPECT_EQ(pool.stats().held_bytes, 32 * kMiB);
  for (size_t i = 50; i < pages.size(); i += 100) {
    std::memset(pages[i]->data.bytes, static_cast<int>(i / 100 + 1), kBytes);
    left.push_back(std::move(pages[i]));
  }
  others.push_back(left[3].share());
  const std::byte* shared = left[3]->data.bytes;
  pages.clear();
  EXPECT_EQ(pool.stats().held_bytes, 32 * kMiB);
  std::vector<Page*> movable;
  for (const PageRef& page : left) {
    if (!page.shared()) movable.push_back(&*page);
  }
  pool.compact(movable);
  EXPECT_LE(pool.stats().held_bytes, 4 * kMiB);
  EXPECT_EQ(pool.stats().used_bytes, left.size() * kBytes);
  EXPECT_EQ(left[3]->data.bytes, shared);
  for (size_t i = 0; i < left.size(); ++i) {
    for (size_t b = 0; b < kBytes; ++b) {
      ASSERT_EQ(left[i]->data.bytes[b], static_cast<std::byte>(i + 1)) << i;
    }
  }
  while (std::optional<PageRef> page = pool.take(kBytes)) pages.push_back(std::move(*page));
  EXPECT_EQ(pages.size() + left.size(), 4096u);  // all of the budget is still there
}

// What is used stays where it is, and new pages are zero, whatever was released meanwhile.
TEST(PagePool, ReleasingTouchesNoPageInUse) {
  PagePool pool(16 * kMiB);
  std::mt19937_64 rng(1);
  struct Held {
    PageRef page;
    size_t bytes;
    std::byte mark;
  };
  std::vector<Held> held;
  const size_t sizes[] = {4096, 20480, 3000, 131072};
  for (int step = 0; step < 20000; ++step) {
    const size_t bytes = sizes[step / 2500 % 4];
    std::optional<PageRef> page;
    if (rng() % 3 != 0) page = pool.take(bytes);
    if (page) {
      for (size_t i = 0; i < bytes; i += 64) ASSERT_EQ((*page)->data.bytes[i], std::byte{0});
      const auto mark = static_cast<std::byte>(1 + rng() % 255);
      std::memset((*page)->data.bytes, static_cast<int>(mark), bytes);
      held.push_back({std::move(*page), bytes, mark});
    } else if (!held.empty()) {
      const size_t i = rng() % held.size();
      for (size_t b = 0; b < held[i].bytes; b += 64) {
        ASSERT_EQ(held[i].page->data.bytes[b], held[i].mark) << step;
      }
      std::swap(held[i], held.back());
      held.pop_back();
    }
  }
}

}  // namespace
}  // namespace fathom::kv
