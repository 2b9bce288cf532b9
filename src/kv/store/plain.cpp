#include "kv/store/plain.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/half.h"

namespace fathom::kv {
namespace {

using kernel::kPageTokens;
using kernel::padded_head_dim;

// The layouts of kernel/attention.h: keys by channel and values by token, in planes or in pairs.
struct F32 {
  using Number = float;
  static constexpr kernel::KvFormat kFormat = kernel::KvFormat::kF32;
  static constexpr std::string_view kName = "f32";
  static constexpr bool kPairs = false;
  static float encode(float x) { return x; }
  static float decode(float x) { return x; }
};
struct F16 {
  using Number = Half;
  static constexpr kernel::KvFormat kFormat = kernel::KvFormat::kF16;
  static constexpr std::string_view kName = "f16";
  static constexpr bool kPairs = false;
  static Half encode(float x) { return to_half(std::clamp(x, -65504.0f, 65504.0f)); }
  static float decode(Half x) { return to_float(x); }
};
struct BF16 {
  using Number = BFloat;
  static constexpr kernel::KvFormat kFormat = kernel::KvFormat::kBF16;
  static constexpr std::string_view kName = "bf16";
  static constexpr bool kPairs = true;
  static BFloat encode(float x) { return to_bfloat(x); }
  static float decode(BFloat x) { return to_float(x); }
};

template <class N>
class PlainCodec final : public StoreCodec {
  using Number = typename N::Number;

 public:
  std::string name() const override { return std::string(N::kName); }
  kernel::KvFormat format() const override { return N::kFormat; }

  size_t key_bytes(size_t head_dim) const override {
    const size_t channels = N::kPairs ? round_up(head_dim, 2) : head_dim;
    return round_up(channels * kPageTokens * sizeof(Number), 64);
  }
  size_t value_bytes(size_t head_dim) const override {
    return kPageTokens * padded_head_dim(head_dim) * sizeof(Number);
  }

  void write(PageData page, size_t d, size_t slot, const float* k, const float* v) const override {
    Number* keys = reinterpret_cast<Number*>(page.bytes);
    Number* values = reinterpret_cast<Number*>(page.bytes + key_bytes(d));
    for (size_t c = 0; c < d; ++c) keys[key_at(c, slot)] = N::encode(k[c]);
    for (size_t c = 0; c < d; ++c) values[value_at(c, slot, d)] = N::encode(v[c]);
  }
  void read(PageData page, size_t d, size_t slot, float* k, float* v) const override {
    const Number* keys = reinterpret_cast<const Number*>(page.bytes);
    const Number* values = reinterpret_cast<const Number*>(page.bytes + key_bytes(d));
    for (size_t c = 0; c < d; ++c) k[c] = N::decode(keys[key_at(c, slot)]);
    for (size_t c = 0; c < d; ++c) v[c] = N::decode(values[value_at(c, slot, d)]);
  }

  void clear_slot(PageData page, size_t d, size_t slot) const override {
    Number* keys = reinterpret_cast<Number*>(page.bytes);
    Number* values = reinterpret_cast<Number*>(page.bytes + key_bytes(d));
    for (size_t c = 0; c < d; ++c) keys[key_at(c, slot)] = Number{};
    for (size_t c = 0; c < padded_head_dim(d); ++c) values[value_at(c, slot, d)] = Number{};
  }
  void copy_slot(PageData from, size_t from_slot, PageData to, size_t to_slot,
                 size_t d) const override {
    const Number* keys = reinterpret_cast<const Number*>(from.bytes);
    const Number* values = reinterpret_cast<const Number*>(from.bytes + key_bytes(d));
    Number* to_keys = reinterpret_cast<Number*>(to.bytes);
    Number* to_values = reinterpret_cast<Number*>(to.bytes + key_bytes(d));
    // Channels from a pair on go together; an odd last one brings its empty neighbour along.
    const size_t channels = N::kPairs ? round_up(d, 2) : d;
    for (size_t c = 0; c < channels; ++c) to_keys[key_at(c, to_slot)] = keys[key_at(c, from_slot)];
    for (size_t c = 0; c < padded_head_dim(d); ++c) {
      to_values[value_at(c, to_slot, d)] = values[value_at(c, from_slot, d)];
    }
  }

  void copy_slots(SlotData from, SlotData to, size_t n, size_t d) const override {
    const Number* keys = reinterpret_cast<const Number*>(from.page.bytes);
    Number* to_keys = reinterpret_cast<Number*>(to.page.bytes);
    const size_t step = N::kPairs ? 2 : 1;
    for (size_t c = 0; c < d; c += step) {
      std::copy_n(keys + key_at(c, from.slot), n * step, to_keys + key_at(c, to.slot));
    }
    copy_values(from, to, n, d);
  }

 private:
  void copy_values(SlotData from, SlotData to, size_t n, size_t d) const {
    const Number* values = reinterpret_cast<const Number*>(from.page.bytes + key_bytes(d));
    Number* to_values = reinterpret_cast<Number*>(to.page.bytes + key_bytes(d));
    const size_t width = padded_head_dim(d);
    if constexpr (!N::kPairs) {
      std::copy_n(values + from.slot * width, n * width, to_values + to.slot * width);
    } else {
      const auto copy_one = [&](size_t i) {
        const Number* row = values + value_at(0, from.slot + i, d);
        Number* to_row = to_values + value_at(0, to.slot + i, d);
        for (size_t c = 0; c < width; ++c) to_row[2 * c] = row[2 * c];
      };
      size_t i = 0;
      if (to.slot % 2 == 1 && n > 0) copy_one(i++);
      const size_t pairs = (n - i) / 2;
      const Number* row = values + value_at(0, (from.slot + i) / 2 * 2, d);
      Number* to_row = to_values + value_at(0, to.slot + i, d);
      if ((from.slot + i) % 2 == 0) {
        std::copy_n(row, pairs * 2 * width, to_row);
      } else {
        join_pairs(row, pairs, width, to_row);
      }
      for (i += 2 * pairs; i < n; ++i) copy_one(i);
    }
  }
  // Pairs that begin in the middle of stored ones: the second of one row with the first of the
  // next.
  static void join_pairs(const Number* rows, size_t pairs, size_t width, Number* out) {
    for (size_t i = 0; i < pairs * width; ++i) {
      uint32_t here, next;
      std::memcpy(&here, rows + 2 * i, sizeof(here));
      std::memcpy(&next, rows + 2 * (i + width), sizeof(next));
      const uint32_t joined = here >> 16 | next << 16;
      std::memcpy(static_cast<void*>(out + 2 * i), &joined, sizeof(joined));
    }
  }
  static size_t key_at(size_t channel, size_t slot) {
    if constexpr (N::kPairs) return (channel / 2 * kPageTokens + slot) * 2 + channel % 2;
    return channel * kPageTokens + slot;
  }
  static size_t value_at(size_t channel, size_t slot, size_t head_dim) {
    const size_t width = padded_head_dim(head_dim);
    if constexpr (N::kPairs) return (slot / 2 * width + channel) * 2 + slot % 2;
    return slot * width + channel;
  }
};

}  // namespace

std::unique_ptr<const StoreCodec> make_plain_codec(kernel::KvFormat format) {
  switch (format) {
    case kernel::KvFormat::kF32:
      return std::make_unique<PlainCodec<F32>>();
    case kernel::KvFormat::kF16:
      return std::make_unique<PlainCodec<F16>>();
    case kernel::KvFormat::kBF16:
      return std::make_unique<PlainCodec<BF16>>();
    default:
      return nullptr;
  }
}

}  // namespace fathom::kv
