// STORE: how a page's keys and values are encoded.
//
// A codec is stateless and shared: safe to use from any thread, for pages that no two threads write
// at once. Rows arrive as floats, keys rotated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/attention.h"

namespace fathom::kv {

// A page's memory: the codec decides what lies in it.
struct PageData {
  std::byte* bytes = nullptr;
};

class StoreCodec {
 public:
  virtual ~StoreCodec() = default;

  virtual std::string_view name() const = 0;
  virtual kernel::KvFormat format() const = 0;

  // Bytes of a page of 64 tokens of one kv head, keys first, each part 64-byte aligned.
  virtual size_t key_bytes(size_t head_dim) const = 0;
  virtual size_t value_bytes(size_t head_dim) const = 0;
  size_t page_bytes(size_t head_dim) const { return key_bytes(head_dim) + value_bytes(head_dim); }

  // Writes one token's key and value, [head_dim] each, to a slot.
  virtual void write(PageData page, size_t head_dim, size_t slot, const float* k,
                     const float* v) const = 0;
  // Gives back what reading the slot means.
  virtual void read(PageData page, size_t head_dim, size_t slot, float* k, float* v) const = 0;
};

}  // namespace fathom::kv
