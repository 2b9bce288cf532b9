#include "engine/cache_price.h"

#include <algorithm>

#include "base/checked.h"
#include "engine/prompt_filter.h"
#include "kv/store/page_chooser.h"

namespace fathom::engine {
namespace {

size_t pages_of(size_t tokens) { return ceil_div(tokens, kernel::kPageTokens); }

// A page in all heads of the first layers, as it is written.
size_t plain_bytes(const model::Config& c, const kv::Policy& policy, size_t layers) {
  size_t bytes = 0;
  for (size_t layer = 0; layer < layers; ++layer) {
    bytes += c.kv_heads * policy.store.of(layer).page_bytes(c.head_dim);
  }
  return bytes;
}

// The same where it waited for the prompt's end to be encoded, and how many pages are not.
struct Chosen {
  size_t page_bytes = 0, plain_pages = 0;
  bool any = false;
};

Chosen chosen_bytes(const model::Config& c, const kv::Policy& policy, const CachePrice& price) {
  Chosen out{price.page_bytes};
  for (size_t layer = 0; layer < c.layers; ++layer) {
    const kv::StoreCodec& codec = policy.store.of(layer);
    if (!codec.chooser()) continue;
    const size_t plain = codec.page_bytes(c.head_dim);
    const size_t coded = std::min(plain, codec.chooser()->coded_bytes(c.head_dim));
    out.page_bytes -= c.kv_heads * (plain - coded);
    out.plain_pages = std::max(out.plain_pages, pages_of(codec.tail()) + 1);
    out.any = true;
  }
  return out;
}

}  // namespace

size_t held_tokens(const model::Config& c, const kv::Policy& policy, size_t context, size_t step) {
  const size_t bound = policy.keep ? policy.keep->bound() : 0;
  if (bound == 0) return context;
  // What stays of one head is gathered before what it was is given back.
  const size_t moved = ceil_div(bound, c.layers * c.kv_heads);
  return std::min(context, bound + step + moved + 3 * kernel::kPageTokens);
}

size_t step_tokens(const kv::Policy& policy, size_t batch) {
  return policy.prefill ? std::max(batch, policy.prefill->chunk()) : batch;
}

CachePrice cache_price(const model::Config& c, const kv::Policy& policy, size_t step) {
  CachePrice price;
  size_t extra = 0;  // of an open page in all heads
  for (size_t layer = 0; layer < c.layers; ++layer) {
    const kv::StoreCodec& codec = policy.store.of(layer);
    const size_t plain = codec.page_bytes(c.head_dim), sealed = codec.sealed_bytes(c.head_dim);
    price.page_bytes += c.kv_heads * sealed;
    if (!codec.seals()) continue;
    extra += c.kv_heads * (plain - std::min(plain, sealed));
    // Pages that are not yet encoded: the tail's, a step's, and one that both may end in.
    const size_t open = ceil_div(codec.tail() + step, kernel::kPageTokens) + 1;
    price.open_pages = std::max(price.open_pages, open);
  }
  price.extra_bytes = price.open_pages * extra;
  return price;
}

CacheNeed cache_need(const model::Config& c, const kv::Policy& policy, size_t context,
                     const ReadingPlan& plan) {
  CacheNeed need;
  size_t read = context;
  if (policy.filter) {
    const kv::GemFilter& f = *policy.filter;
    need.choosing = pages_of(context) * plain_bytes(c, policy, choosing_layer(c, f) + 1);
    const size_t chosen = std::min(context, std::max(f.budget, f.first + f.last));
    read = chosen + std::min(context - chosen, plan.answer);
  }
  const CachePrice price = cache_price(c, policy, plan.step);
  const size_t held = held_tokens(c, policy, read, plan.step);
  need.reading = price.bytes(held);
  need.kept = need.reading;
  const Chosen chosen = chosen_bytes(c, policy, price);
  if (!chosen.any) return need;
  const size_t pages = pages_of(held), plain = std::min(pages, chosen.plain_pages);
  need.kept -= (pages - plain) * (price.page_bytes - chosen.page_bytes);
  need.reading += chosen.page_bytes;  // what is encoded, before what it was is given back
  return need;
}

size_t longest_context(const model::Config& c, const kv::Policy& policy, const ReadingPlan& plan,
                       size_t room, size_t most) {
  size_t low = 0, high = most / kernel::kPageTokens;
  while (low < high) {
    const size_t middle = (low + high + 1) / 2;
    if (cache_need(c, policy, middle * kernel::kPageTokens, plan).peak() <= room) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low * kernel::kPageTokens;
}

}  // namespace fathom::engine
