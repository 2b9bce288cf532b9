#include "kv/store/store.h"

#include "base/error.h"

namespace fathom::kv {

bool Store::needs_key_norms() const {
  bool needs = rest_ && rest_->needs_key_norms();
  for (const Range& range : ranges_) needs |= range.codec->needs_key_norms();
  return needs;
}

void Store::bind(const KeyNorms& norms) {
  const auto bind_one = [&](std::shared_ptr<const StoreCodec>& codec) {
    if (codec && codec->needs_key_norms()) codec = codec->bound(norms);
  };
  bind_one(rest_);
  for (Range& range : ranges_) bind_one(range.codec);
}

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
