#include "kv/store/store.h"

#include "base/error.h"

namespace fathom::kv {

void Store::require_layers(size_t layers) const {
  for (const Range& range : ranges_) {
    if (range.layers.last < layers) continue;
    throw with_hint(
        usage_error("--kv", "store={}[layers={}-{}]: there is no layer {}", range.codec->name(),
                    range.layers.first, range.layers.last, range.layers.last),
        fmt::format("the model's layers are 0 to {}", layers - 1));
  }
}

}  // namespace fathom::kv
