#include "kv/store/coded.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "kernel/page_code.h"
#include "kv/store/plain.h"

namespace fathom::kv {
namespace {

using kernel::is_coded;
using kernel::kPageTokens;
using kernel::Plane;
using kernel::PlaneShape;

class CodedCodec final : public StoreCodec {
 public:
  explicit CodedCodec(const CodedFormat& format)
      : format_(format), plain_(make_plain_codec(format.plain)) {}

  std::string name() const override { return format_.name; }
  kernel::KvFormat format() const override { return format_.plain; }
  kernel::KvFormat sealed_key_format() const override { return format_.keys; }
  kernel::KvFormat sealed_value_format() const override { return format_.values; }
  size_t tail() const override { return format_.tail; }
  const PageChooser* chooser() const override { return format_.chooser.get(); }
  const Frame* key_frame() const override { return format_.key_frame.get(); }
  const Frame* value_frame() const override { return format_.value_frame.get(); }
  bool needs_key_norms() const override { return format_.sort_keys; }
  std::shared_ptr<const StoreCodec> bound(const KeyNorms& norms) const override {
    CodedFormat format = format_;
    format.sort_keys = false;
    format.key_frame = sorted_frame(norms);
    return make_coded_codec(format);
  }

  size_t key_bytes(size_t d) const override { return plain_->key_bytes(d); }
  size_t value_bytes(size_t d) const override { return plain_->value_bytes(d); }
  size_t sealed_key_bytes(size_t d) const override {
    return is_coded(format_.keys) ? kernel::coded_bytes(format_.keys, Plane::kKeys, d)
                                  : key_bytes(d);
  }
  size_t sealed_value_bytes(size_t d) const override {
    return is_coded(format_.values) ? kernel::coded_bytes(format_.values, Plane::kValues, d)
                                    : value_bytes(d);
  }

  void write(PageData page, size_t d, size_t slot, const float* k, const float* v) const override {
    plain_->write(page, d, slot, k, v);
  }
  void read(PageData page, size_t d, size_t slot, float* k, float* v) const override {
    plain_->read(page, d, slot, k, v);
  }

  void read_sealed(PageData page, size_t d, size_t slot, float* k, float* v) const override {
    const std::byte* values = page.bytes + sealed_key_bytes(d);
    std::vector<float> plain_k(d), plain_v(d);
    if (!is_coded(format_.keys) || !is_coded(format_.values)) {
      read_plain_plane(page, d, slot, plain_k.data(), plain_v.data());
    }
    for (size_t c = 0; c < d; ++c) {
      k[c] = is_coded(format_.keys)
                 ? kernel::decode_code(format_.keys, Plane::kKeys, d, page.bytes, c, slot)
                 : plain_k[c];
      v[c] = is_coded(format_.values)
                 ? kernel::decode_code(format_.values, Plane::kValues, d, values, slot, c)
                 : plain_v[c];
    }
  }

  void clear_slot(PageData page, size_t d, size_t slot) const override {
    plain_->clear_slot(page, d, slot);
  }
  void copy_slot(PageData from, size_t from_slot, PageData to, size_t to_slot,
                 size_t d) const override {
    plain_->copy_slot(from, from_slot, to, to_slot, d);
  }
  void copy_slots(SlotData from, SlotData to, size_t n, size_t d) const override {
    plain_->copy_slots(from, to, n, d);
  }

  void seal(PageData from, size_t d, PageData to) const override {
    const size_t width = kernel::padded_head_dim(d);
    std::vector<float> keys(d * kPageTokens), values(kPageTokens * width), k(d), v(d);
    for (size_t slot = 0; slot < kPageTokens; ++slot) {
      plain_->read(from, d, slot, k.data(), v.data());
      for (size_t c = 0; c < d; ++c) keys[c * kPageTokens + slot] = k[c];
      std::copy(v.begin(), v.end(), values.begin() + static_cast<std::ptrdiff_t>(slot * width));
    }
    std::byte* to_values = to.bytes + sealed_key_bytes(d);
    if (is_coded(format_.keys)) {
      kernel::encode_plane(format_.keys, Plane::kKeys, d, keys.data(), to.bytes, format_.key_clip);
    } else {
      std::memcpy(to.bytes, from.bytes, key_bytes(d));
    }
    if (is_coded(format_.values)) {
      kernel::encode_plane(format_.values, Plane::kValues, d, values.data(), to_values,
                           format_.value_clip);
    } else {
      std::memcpy(to_values, from.bytes + key_bytes(d), value_bytes(d));
    }
  }

 private:
  // Where one plane of a sealed page is plain, it is read out of a copy of a whole plain page.
  void read_plain_plane(PageData page, size_t d, size_t slot, float* k, float* v) const {
    std::vector<std::byte> copy(page_bytes(d));
    if (!is_coded(format_.keys)) std::memcpy(copy.data(), page.bytes, key_bytes(d));
    if (!is_coded(format_.values)) {
      std::memcpy(copy.data() + key_bytes(d), page.bytes + sealed_key_bytes(d), value_bytes(d));
    }
    plain_->read({copy.data()}, d, slot, k, v);
  }

  CodedFormat format_;
  std::unique_ptr<const StoreCodec> plain_;
};

}  // namespace

CodedFormat join_sides(const CodedFormat& keys, const CodedFormat& values) {
  const bool plain_keys = !is_coded(keys.keys), plain_values = !is_coded(values.values);
  if (plain_keys && plain_values && keys.plain != values.plain) {
    throw with_hint(usage_error("--kv", "store={}/{}: keys and values cannot be two plain formats",
                                keys.name, values.name),
                    "one plain format, or codes for either: store=f16/k4v4, store=q8/k2v2");
  }
  if (keys.chooser || values.chooser) {
    throw with_hint(usage_error("--kv", "store={}/{}: one of them chooses codecs for whole pages",
                                keys.name, values.name),
                    "keys and values go apart where both have one codec: store=q8/k2v2");
  }
  CodedFormat both;
  both.name = keys.name + "/" + values.name;
  both.plain = plain_values ? values.plain : keys.plain;
  both.keys = keys.keys;
  both.values = values.values;
  both.tail = std::max(keys.tail, values.tail);
  both.key_clip = keys.key_clip;
  both.key_frame = keys.key_frame;
  both.sort_keys = keys.sort_keys;
  both.value_clip = values.value_clip;
  both.value_frame = values.value_frame;
  return both;
}

std::unique_ptr<const StoreCodec> make_coded_codec(const CodedFormat& format) {
  return std::make_unique<CodedCodec>(format);
}

}  // namespace fathom::kv
