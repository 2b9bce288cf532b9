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
