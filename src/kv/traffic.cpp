#include "kv/traffic.h"

#include <algorithm>

namespace fathom::kv {

size_t plane_traffic(const HeadCache& head, size_t head_dim, const Runs& runs, Plane plane) {
  size_t bytes = 0, next = 0;  // the first page that was not counted
  for (const Run& run : runs) {
    if (run.end <= run.first) continue;
    const size_t first = static_cast<size_t>(run.first) / kernel::kPageTokens;
    const size_t last = (static_cast<size_t>(run.end) - 1) / kernel::kPageTokens;
    for (size_t page = std::max(first, next); page <= last; ++page) {
      const StoreCodec* coder = head.coder(page);
      const StoreCodec& codec = coder ? *coder : head.codec();
      const size_t k = coder ? codec.sealed_key_bytes(head_dim) : codec.key_bytes(head_dim);
      const size_t v = coder ? codec.sealed_value_bytes(head_dim) : codec.value_bytes(head_dim);
      bytes += page_traffic(head, page) * (plane == Plane::kKeys ? k : v) / (k + v);
    }
    next = std::max(next, last + 1);
  }
  return bytes;
}

}  // namespace fathom::kv
