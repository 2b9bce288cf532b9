// Asking for pages before their turn comes.
#pragma once

#include <cstddef>

#include "kernel/attention.h"
#include "kernel/page_code.h"

namespace fathom::kernel {

struct Part {
  size_t index, count;
};

FATHOM_INLINE size_t plane_bytes(KvFormat format, Plane plane, size_t head_dim) {
  if (is_coded(format)) return CodeLayout(format, plane, head_dim).bytes();
  const PlaneShape shape = plane_shape(plane, head_dim);
  return shape.lines * shape.lanes * (format == KvFormat::kF32 ? 4 : 2);
}

FATHOM_INLINE void prefetch_plane(KvFormat format, Plane plane, size_t head_dim, const void* data,
                                  Part part) {
  const size_t lines = plane_bytes(format, plane, head_dim) / 64;
  for (size_t i = lines * part.index / part.count; i < lines * (part.index + 1) / part.count; ++i) {
    __builtin_prefetch(static_cast<const char*>(data) + 64 * i, 0, 2);
  }
}

// Page `index` of the call, or what is read after its last; null: nothing.
FATHOM_INLINE const PageView* page_at(const AttendArgs& a, size_t index) {
  return index < a.page_count ? a.pages + index : a.next;
}

// Asks for a part of a page before its turn comes: the processor's own prefetching begins anew at
// every page, and what it misses is most of the time that decoding a long context takes.
FATHOM_INLINE void prefetch_page(const AttendArgs& a, const PageView* page, Part part) {
  if (page == nullptr) return;
  prefetch_plane(page->k_format, Plane::kKeys, page->key_dim(a.head_dim), page->k, part);
  prefetch_plane(page->v_format, Plane::kValues, a.head_dim, page->v, part);
}

// Memory that is read next: each step over the page before asks for a little of it, so that the
// requests neither queue up nor wait for the arithmetic.
struct Ahead {
  const char* at = nullptr;
  const char* end = nullptr;
  ptrdiff_t step = 0;  // bytes, a multiple of 64

  FATHOM_INLINE void ask() {
    const char* stop = end - at < step ? end : at + step;
    for (; at < stop; at += 64) __builtin_prefetch(at, 0, 2);
  }
};

// A plane of the next page, spread over `steps`.
FATHOM_INLINE Ahead spread(const void* data, size_t bytes, size_t steps) {
  const char* at = static_cast<const char*>(data);
  return {at, at + bytes, static_cast<ptrdiff_t>((bytes + 64 * steps - 1) / (64 * steps) * 64)};
}
FATHOM_INLINE Ahead look_ahead(KvFormat format, Plane plane, size_t head_dim, const void* data,
                               size_t steps) {
  return spread(data, plane_bytes(format, plane, head_dim), steps);
}
struct PageAhead {
  Ahead keys, values;
};

}  // namespace fathom::kernel
