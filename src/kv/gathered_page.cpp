#include "kv/gathered_page.h"

namespace fathom::kv {

kernel::PageView gather_page(const HeadCache& head, size_t d, std::span<const int32_t> keys,
                             PageData to, int32_t* positions) {
  const StoreCodec& codec = head.codec();
  for (size_t slot = 0; slot < kernel::kPageTokens; ++slot) {
    if (slot < keys.size()) {
      const size_t key = static_cast<size_t>(keys[slot]);
      head.copy_token(d, key, to, slot);
      positions[slot] = head.position(key);
    } else {
      codec.clear_slot(to, d, slot);
      positions[slot] = 0;
    }
  }
  return {to.bytes,
          to.bytes + codec.key_bytes(d),
          static_cast<int32_t>(keys.size()),
          positions[0],
          positions,
          codec.format(),
          codec.format()};
}

}  // namespace fathom::kv
