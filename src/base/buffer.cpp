#include "base/buffer.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace fathom {
namespace {

constexpr size_t kMapFrom = 1 << 18;  // below this, malloc's reuse beats a system call
constexpr size_t kHugePage = size_t{2} << 20;

void* map(size_t bytes) {
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return data == MAP_FAILED ? nullptr : data;
}

// Weights and caches are read from end to end: with pages of 4 KiB a good part of the time would go
// to address translation. The system is asked for huge ones, which it may refuse.
void* map_huge(size_t bytes) {
  auto* wide = static_cast<std::byte*>(map(bytes + kHugePage));
  if (!wide) return map(bytes);
  const auto address = reinterpret_cast<uintptr_t>(wide);
  const size_t before = (kHugePage - address % kHugePage) % kHugePage;
  if (before > 0) ::munmap(wide, before);
  std::byte* data = wide + before;
  constexpr size_t kPage = 4096;
  const size_t used = (bytes + kPage - 1) / kPage * kPage;
  ::munmap(data + used, kHugePage - before);
  ::madvise(data, bytes, MADV_HUGEPAGE);
  return data;
}

}  // namespace

void* allocate_zeroed(size_t bytes) {
  if (bytes == 0) return nullptr;
  void* data = nullptr;
  if (bytes >= kMapFrom) {
    data = bytes >= kHugePage ? map_huge(bytes) : map(bytes);
  } else {
    data = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (data) std::memset(data, 0, bytes);
  }
  if (!data) throw out_of_memory("memory", "{} bytes cannot be had", bytes);
  return data;
}

void free_zeroed(void* data, size_t bytes) {
  if (!data) return;
  if (bytes >= kMapFrom) {
    ::munmap(data, bytes);
  } else {
    std::free(data);
  }
}

}  // namespace fathom
