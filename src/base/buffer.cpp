#include "base/buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace fathom {
namespace {

constexpr size_t kMapFrom = 1 << 18;  // below this, malloc's reuse beats a system call

}  // namespace

void* allocate_zeroed(size_t bytes) {
  if (bytes == 0) return nullptr;
  void* data = nullptr;
  if (bytes >= kMapFrom) {
    data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) data = nullptr;
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
