// Owned, 64-byte aligned memory for numbers. Move-only.
//
// Buffer<T> holds plain values and is never initialised beyond zero. Large buffers come from
// anonymous mappings: they are zero, cost nothing until touched (so the thread that writes first
// decides the NUMA node), and go back to the system when freed. From 2 MiB on they are aligned to
// 2 MiB and the system is asked for huge pages.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace fathom {

// Zeroed memory; nullptr for 0 bytes. Throws Error(kOutOfMemory).
void* allocate_zeroed(size_t bytes);
void free_zeroed(void* data, size_t bytes);

template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  explicit Buffer(size_t size)
      : data_(static_cast<T*>(allocate_zeroed(size * sizeof(T)))), size_(size) {}
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() { free_zeroed(data_, size_ * sizeof(T)); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  size_t bytes() const { return size_ * sizeof(T); }
  std::span<T> span() { return {data_, size_}; }
  std::span<const T> span() const { return {data_, size_}; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

  // Grows to at least `size` without keeping the contents. For scratch that settles after one step.
  void ensure(size_t size) {
    if (size > size_) *this = Buffer(size);
  }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace fathom
