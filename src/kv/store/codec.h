// STORE: how a page's keys and values are encoded.
//
// A codec is stateless and shared: safe to use from any thread, for pages that no two threads write
// at once. Rows arrive as floats, keys rotated; where the codec has a frame (frame.h), in that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kernel/attention.h"
#include "kv/store/frame.h"

namespace fathom::kv {

// A page's memory: the codec decides what lies in it.
struct PageData {
  std::byte* bytes = nullptr;
};
struct SlotData {
  PageData page;
  size_t slot = 0;
};

class PageChooser;

class StoreCodec {
 public:
  virtual ~StoreCodec() = default;

  // As it would be typed after "store=", parameters included.
  virtual std::string name() const = 0;

  // Pages are written in a plain format. A full page that is `tail()` tokens behind the end is
  // sealed: encoded into a smaller one, if there is a smaller format.
  virtual kernel::KvFormat format() const = 0;
  virtual kernel::KvFormat sealed_key_format() const { return format(); }
  virtual kernel::KvFormat sealed_value_format() const { return format(); }
  virtual size_t tail() const { return 0; }
  bool seals() const {
    return sealed_key_format() != format() || sealed_value_format() != format();
  }

  // Null: pages are sealed as they fill. Otherwise seals() is false, and a chooser gives each page
  // a codec of its own (page_chooser.h), which must have this codec's plain format and frames.
  virtual const PageChooser* chooser() const { return nullptr; }

  // In which keys and values are written and read; null: the model's.
  virtual const Frame* key_frame() const { return nullptr; }
  virtual const Frame* value_frame() const { return nullptr; }
  // Whether the keys' frame depends on the model; bound() then gives the codec for that model.
  // Until it is asked for, channels stay in the model's order.
  virtual bool needs_key_norms() const { return false; }
  virtual std::shared_ptr<const StoreCodec> bound(const KeyNorms&) const { return nullptr; }

  // Bytes of a page of 64 tokens of one kv head, keys first, each part 64-byte aligned.
  virtual size_t key_bytes(size_t head_dim) const = 0;
  virtual size_t value_bytes(size_t head_dim) const = 0;
  size_t page_bytes(size_t head_dim) const { return key_bytes(head_dim) + value_bytes(head_dim); }
  virtual size_t sealed_key_bytes(size_t head_dim) const { return key_bytes(head_dim); }
  virtual size_t sealed_value_bytes(size_t head_dim) const { return value_bytes(head_dim); }
  size_t sealed_bytes(size_t head_dim) const {
    return sealed_key_bytes(head_dim) + sealed_value_bytes(head_dim);
  }

  // Writes one token's key and value, [head_dim] each, to a slot of a plain page.
  virtual void write(PageData page, size_t head_dim, size_t slot, const float* k,
                     const float* v) const = 0;
  // Gives back what reading a slot of a plain page means.
  virtual void read(PageData page, size_t head_dim, size_t slot, float* k, float* v) const = 0;
  // The same of a sealed page.
  virtual void read_sealed(PageData page, size_t head_dim, size_t slot, float* k, float* v) const {
    read(page, head_dim, slot, k, v);
  }
  // A slot of a plain page that holds nothing but finite numbers.
  virtual void clear_slot(PageData page, size_t head_dim, size_t slot) const = 0;
  // Copies a slot of one plain page to another.
  virtual void copy_slot(PageData from, size_t from_slot, PageData to, size_t to_slot,
                         size_t head_dim) const = 0;
  // The same of n slots that follow each other.
  virtual void copy_slots(SlotData from, SlotData to, size_t n, size_t head_dim) const {
    for (size_t i = 0; i < n; ++i) {
      copy_slot(from.page, from.slot + i, to.page, to.slot + i, head_dim);
    }
  }
  // Encodes a full plain page into a sealed one.
  virtual void seal(PageData /*plain*/, size_t /*head_dim*/, PageData /*sealed*/) const {}
  // The same where sealed keys have these channels only; such a page's view has thin().
  virtual void seal_thin(PageData /*plain*/, size_t /*head_dim*/,
                         std::span<const uint16_t> /*channels*/, PageData /*sealed*/) const {}
  // Where a thin sealed page has its channels and the first of its keys; none: it has them all.
  struct Thin {
    std::span<const uint16_t> channels;
    const std::byte* keys = nullptr;
  };
  virtual Thin thin(PageData /*sealed*/, size_t /*head_dim*/) const { return {}; }
};

}  // namespace fathom::kv
