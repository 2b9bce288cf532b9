// Which codec each layer's pages use.
//
// Immutable once built, so safe to share between threads; copies share their codecs.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "kv/store/codec.h"

namespace fathom::kv {

struct LayerRange {
  size_t first = 0, last = 0;  // both included
};

class Store {
 public:
  Store() = default;
  // One codec for every layer.
  Store(std::shared_ptr<const StoreCodec> codec) : rest_(std::move(codec)) {}
  Store(std::unique_ptr<const StoreCodec> codec) : rest_(std::move(codec)) {}

  // Gives these layers their own codec, unless they were given one before.
  void add(LayerRange layers, std::shared_ptr<const StoreCodec> codec) {
    ranges_.push_back({layers, std::move(codec)});
  }

  explicit operator bool() const { return rest_ != nullptr; }
  const StoreCodec& of(size_t layer) const {
    for (const Range& range : ranges_) {
      if (range.layers.first <= layer && layer <= range.layers.last) return *range.codec;
    }
    return *rest_;
  }

  // Gives the codecs that want it what is known of the model's keys.
  bool needs_key_norms() const;
  void bind(const KeyNorms& norms);

  // Throws Error(kUsage) where a range names a layer that a model of so many layers has not.
  void require_layers(size_t layers) const;

 private:
  struct Range {
    LayerRange layers;
    std::shared_ptr<const StoreCodec> codec;
  };
  std::vector<Range> ranges_;  // the first that has a layer counts
  std::shared_ptr<const StoreCodec> rest_;
};

}  // namespace fathom::kv
