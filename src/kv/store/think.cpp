#include "kv/store/think.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "kernel/page_code.h"
#include "kv/keep/think.h"
#include "kv/store/plain.h"

namespace fathom::kv {
namespace {

using kernel::kPageTokens;
using kernel::KvFormat;

// Where a plain plane has the number of a line and lane (kernel/attention.h).
size_t place(KvFormat format, size_t lanes, size_t line, size_t lane) {
  if (format == KvFormat::kBF16) return (line / 2 * lanes + lane) * 2 + line % 2;
  return line * lanes + lane;
}

size_t number_bytes(KvFormat format) { return format == KvFormat::kF32 ? 4 : 2; }

float number(KvFormat format, const std::byte* plane, size_t at) {
  if (format == KvFormat::kF32) return reinterpret_cast<const float*>(plane)[at];
  if (format == KvFormat::kF16) return to_float(reinterpret_cast<const Half*>(plane)[at]);
  return to_float(reinterpret_cast<const BFloat*>(plane)[at]);
}

// A sealed page: its channels, their lines of keys, all values.
class ThinCodec final : public StoreCodec {
 public:
  explicit ThinCodec(const ThinkOptions& options)
      : options_(options), plain_(make_plain_codec(options.plain)) {}

  size_t kept(size_t d) const {
    const size_t left = d - static_cast<size_t>(options_.share * static_cast<double>(d));
    return std::min(d, (left + 1) / 2 * 2);
  }

  std::string name() const override { return "think"; }
  KvFormat format() const override { return options_.plain; }
  size_t key_bytes(size_t d) const override { return plain_->key_bytes(d); }
  size_t value_bytes(size_t d) const override { return plain_->value_bytes(d); }
  size_t sealed_key_bytes(size_t d) const override {
    return list_bytes(d) + plain_->key_bytes(kept(d));
  }

  void write(PageData page, size_t d, size_t slot, const float* k, const float* v) const override {
    plain_->write(page, d, slot, k, v);
  }
  void read(PageData page, size_t d, size_t slot, float* k, float* v) const override {
    plain_->read(page, d, slot, k, v);
  }
  void clear_slot(PageData page, size_t d, size_t slot) const override {
    plain_->clear_slot(page, d, slot);
  }
  void copy_slot(PageData from, size_t from_slot, PageData to, size_t to_slot,
                 size_t d) const override {
    plain_->copy_slot(from, from_slot, to, to_slot, d);
  }

  void read_sealed(PageData page, size_t d, size_t slot, float* k, float* v) const override {
    const Thin t = thin(page, d);
    const KvFormat format = options_.plain;
    std::fill_n(k, d, 0.0f);
    for (size_t i = 0; i < t.channels.size(); ++i) {
      k[t.channels[i]] = number(format, t.keys, place(format, kPageTokens, i, slot));
    }
    const std::byte* values = page.bytes + sealed_key_bytes(d);
    const size_t width = kernel::padded_head_dim(d);
    for (size_t c = 0; c < d; ++c) v[c] = number(format, values, place(format, width, slot, c));
  }

  void seal_thin(PageData from, size_t d, std::span<const uint16_t> channels,
                 PageData to) const override {
    FATHOM_CHECK(channels.size() == kept(d));
    const KvFormat format = options_.plain;
    const size_t bytes = number_bytes(format);
    std::memcpy(to.bytes, channels.data(), channels.size_bytes());
    std::byte* keys = to.bytes + list_bytes(d);
    for (size_t i = 0; i < channels.size(); ++i) {
      for (size_t slot = 0; slot < kPageTokens; ++slot) {
        std::memcpy(keys + place(format, kPageTokens, i, slot) * bytes,
                    from.bytes + place(format, kPageTokens, channels[i], slot) * bytes, bytes);
      }
    }
    std::memcpy(to.bytes + sealed_key_bytes(d), from.bytes + key_bytes(d), value_bytes(d));
  }

  Thin thin(PageData page, size_t d) const override {
    return {{reinterpret_cast<const uint16_t*>(page.bytes), kept(d)}, page.bytes + list_bytes(d)};
  }

 private:
  size_t list_bytes(size_t d) const { return (kept(d) * sizeof(uint16_t) + 63) / 64 * 64; }

  ThinkOptions options_;
  std::unique_ptr<const StoreCodec> plain_;
};

class Think final : public PageChooser {
 public:
  explicit Think(const ThinkOptions& options) : options_(options), codec_(options) {}
  size_t window() const override { return options_.window; }
  size_t every() const override { return SIZE_MAX; }  // what is generated stays whole
  size_t coded_bytes(size_t d) const override {
    return codec_.kept(d) == d ? codec_.page_bytes(d) : codec_.sealed_bytes(d);
  }

  void choose(const HeadView& head, const QueryView& queries,
              std::span<Page> pages) const override {
    const size_t kept = codec_.kept(head.head_dim);
    if (kept == head.head_dim) return;
    const std::vector<int32_t> best = top_channels(channel_scores(head, queries), kept);
    auto channels = std::make_shared<std::vector<uint16_t>>(best.begin(), best.end());
    for (Page& page : pages) {
      if (!page.open) continue;
      page.coder = &codec_;
      page.channels = channels;
    }
  }

 private:
  ThinkOptions options_;
  ThinCodec codec_;
};

}  // namespace

std::unique_ptr<const PageChooser> make_think_store(const ThinkOptions& options) {
  return std::make_unique<Think>(options);
}

}  // namespace fathom::kv
