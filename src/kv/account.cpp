#include "kv/account.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/error.h"
#include "kernel/page_code.h"

namespace fathom::kv {
namespace {

void add(AccountShare& to, const AccountShare& share) {
  to.part += share.part;
  to.whole += share.whole;
}

void add(AccountRange& to, const AccountRange& range) {
  add(to.prefill_keys, range.prefill_keys);
  add(to.prefill_queries, range.prefill_queries);
  add(to.kept, range.kept);
  add(to.fetched, range.fetched);
  add(to.stored, range.stored);
  to.bytes += range.bytes;
}

class Accountant {
 public:
  Accountant(const SequenceCache& cache, const Policy& policy)
      : cache_(cache), ledger_(*cache.ledger()), policy_(policy) {}

  Account run() {
    out_.policy = policy_.line;
    out_.tokens = cache_.length();
    out_.heads = cache_.shape().layers * cache_.shape().kv_heads;
    out_.steps = ledger_.steps();
    out_.shortest = out_.tokens;
    make_ranges();
    read_cache();
    for (size_t r = 0; r < out_.ranges.size(); ++r) read_ledger(r);
    out_.total.end = out_.tokens;
    for (const AccountRange& range : out_.ranges) add(out_.total, range);
    read_choice(cache_.text().chosen);
    return std::move(out_);
  }

 private:
  void make_ranges() {
    const size_t width = ledger_.range_tokens();
    for (size_t first = 0; first < out_.tokens; first += width) {
      AccountRange range;
      range.first = first;
      range.end = std::min(first + width, out_.tokens);
      range.kept.whole = static_cast<double>((range.end - range.first) * out_.heads);
      out_.ranges.push_back(range);
    }
  }

  void read_choice(const ChosenText& chosen) {
    if (chosen.places.empty()) return;
    AccountChoice& out = out_.choice;
    out.text = chosen.of;
    out.chosen = chosen.places.size();
    out.layers = chosen.layers;
    out.ranges.resize(std::min(Ledger::kRanges, chosen.of));
    const auto range_of = [&](size_t place) -> AccountShare& {
      return out.ranges[place * out.ranges.size() / chosen.of];
    };
    for (size_t place = 0; place < chosen.of; ++place) range_of(place).whole += 1;
    for (const int32_t place : chosen.places) range_of(static_cast<size_t>(place)).part += 1;
  }

  void read_cache() {
    // By format of keys, their channels, format of values.
    std::map<std::tuple<kernel::KvFormat, size_t, kernel::KvFormat>, AccountStore> stores;
    const CacheShape& shape = cache_.shape();
    for (size_t layer = 0; layer < shape.layers; ++layer) {
      add_plain(layer);
      for (size_t h = 0; h < shape.kv_heads; ++h) {
        const HeadCache& head = cache_.head(layer, h);
        out_.shortest = std::min(out_.shortest, head.length());
        out_.longest = std::max(out_.longest, head.length());
        for (size_t p = 0; p < head.pages().size(); ++p) {
          const kernel::PageView& page = head.pages()[p];
          AccountStore& store = stores[{page.k_format, page.channel_count, page.v_format}];
          ++store.pages;
          store.tokens += static_cast<size_t>(page.tokens);
          store.bytes += head.page_bytes(p);
          read_page(page, static_cast<double>(head.page_bytes(p)));
        }
      }
    }
    for (auto& [formats, store] : stores) {
      const auto [keys, channels, values] = formats;
      store.keys = kernel::format_name(keys);
      if (channels > 0) store.keys += fmt::format(" of {} channels", channels);
      store.values = kernel::format_name(values);
      out_.stores.push_back(std::move(store));
    }
  }

  // What a layer's tokens would take if all were there, in pages that are not encoded.
  void add_plain(size_t layer) {
    const CacheShape& shape = cache_.shape();
    const auto page = static_cast<double>(cache_.codec(layer).page_bytes(shape.head_dim));
    for (AccountRange& range : out_.ranges) {
      const auto tokens = static_cast<double>((range.end - range.first) * shape.kv_heads);
      range.stored.whole += page / double{kernel::kPageTokens} * tokens;
    }
  }

  // A page's bytes belong to its tokens in equal shares.
  void read_page(const kernel::PageView& page, double bytes) {
    for_each_run(page, [&](size_t position, size_t tokens) {
      for (size_t i = position; i < position + tokens; ++i) {
        AccountRange& range = out_.ranges[ledger_.range_of(i)];
        range.kept.part += 1;
        range.bytes += bytes / page.tokens;
        range.stored.part += bytes / double{kernel::kPageTokens};
      }
    });
  }

  void read_ledger(size_t r) {
    AccountRange& range = out_.ranges[r];
    for (size_t other = 0; other < out_.ranges.size(); ++other) {
      range.prefill_keys.part += static_cast<double>(ledger_.read(other, r));
      range.prefill_keys.whole += static_cast<double>(ledger_.baseline(other, r));
      range.prefill_queries.part += static_cast<double>(ledger_.read(r, other));
      range.prefill_queries.whole += static_cast<double>(ledger_.baseline(r, other));
    }
    if (policy_.fetch) {
      range.fetched.part = static_cast<double>(ledger_.keys_fetched()[r]);
      range.fetched.whole = static_cast<double>(ledger_.keys_stored()[r]);
    } else if (ledger_.steps() > 0) {
      range.fetched.part = range.fetched.whole = range.kept.part;
    }
  }

  const SequenceCache& cache_;
  const Ledger& ledger_;
  const Policy& policy_;
  Account out_;
};

}  // namespace

Account make_account(const SequenceCache& cache, const Policy& policy) {
  FATHOM_CHECK(cache.ledger() != nullptr);
  return Accountant(cache, policy).run();
}

}  // namespace fathom::kv
