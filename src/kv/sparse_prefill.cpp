#include "kv/sparse_prefill.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/checked.h"
#include "base/stopwatch.h"
#include "kv/attention_state.h"
#include "kv/gathered_page.h"
#include "kv/thin_keys.h"

namespace fathom::kv {
namespace {

using kernel::AttendState;
using kernel::kPageTokens;
using kernel::kSegmentPages;
using kernel::padded_head_dim;
using kernel::PageView;

constexpr size_t kGatherBytes = size_t{64} << 20;
// Queries of one head that are read together: every policy's blocks of queries are multiples of it.
constexpr size_t kTileTokens = kPageTokens;
static_assert(kTileTokens <= kernel::kAttendRows);

int32_t as_index(size_t i) { return static_cast<int32_t>(i); }

// Bits [begin, end) of a page's slots, clamped to it.
uint64_t slot_bits(int32_t begin, int32_t end) {
  const int32_t page = static_cast<int32_t>(kPageTokens);
  begin = std::clamp(begin, 0, page);
  end = std::clamp(end, 0, page);
  if (begin >= end) return 0;
  const uint64_t below = end == page ? ~uint64_t{0} : (uint64_t{1} << end) - 1;
  return below & ~((uint64_t{1} << begin) - 1);
}

// Adds keys [begin, end) to the views, page by page, what is outside of them masked.
void add_keys(std::span<const PageView> pages, int32_t begin, int32_t end,
              std::vector<PageView>& views) {
  const int32_t size = static_cast<int32_t>(kPageTokens);
  for (int32_t page = begin / size; page * size < end; ++page) {
    views.push_back(pages[static_cast<size_t>(page)]);
    views.back().slots &= slot_bits(begin - page * size, end - page * size);
  }
}

// The first key, at a page's border, that dense attention computes for queries from `first` on.
size_t first_computed(const AttendLayer& layer, size_t first) {
  const size_t window = static_cast<size_t>(layer.window);
  const size_t oldest = window > 0 && first + 1 > window ? first + 1 - window : 0;
  return oldest / kPageTokens * kPageTokens;
}

// Pages of a list that are computed for queries that see nothing before `begin`.
double computed_pages(const RowList& list, size_t begin) {
  const auto from = [](const std::vector<int32_t>& keys, int32_t first) {
    return static_cast<double>(keys.end() - std::lower_bound(keys.begin(), keys.end(), first));
  };
  const int32_t first = as_index(begin);
  return from(list.pieces, first - as_index(kPageTokens) + 1) +
         from(list.columns, first) / kPageTokens;
}

}  // namespace

SparsePrefill::SparsePrefill(ThreadPool& pool, const kernel::Kernels& kernels)
    : pool_(pool),
      kernels_(kernels),
      workers_(static_cast<size_t>(pool.size())),
      bundles_(pool, kernels) {}

void SparsePrefill::run(const PrefillPolicy& policy, const AttendLayer& layer,
                        const SequenceRows& sequence) {
  prepare(sequence);
  const Stopwatch selecting;
  select(policy, layer, sequence);
  account_.select_seconds += selecting.seconds();
  const Stopwatch attending;
  account_.visited += bundles_.run(layer, sequence);
  share(sequence, layer.heads, policy.query_block());
  for (size_t head = 0; head < layer.heads;) {
    const size_t end = plan_gathering(layer, sequence, head);
    gather_columns(layer, sequence);
    plan_tiles(layer, sequence, policy.query_block(), {head, end});
    if (Ledger* ledger = sequence.cache->ledger()) {
      const size_t start = sequence.cache->length() - sequence.tokens;
      for (const Tile& tile : tiles_) record(*ledger, layer, tile, start);
    }
    pool_.run(tiles_.size(),
              [&](size_t i, int worker) { run_tile(layer, sequence, tiles_[i], worker); });
    head = end;
  }
  account_.attend_seconds += attending.seconds();
}

void SparsePrefill::add_account(const PrefillAccount& account) {
  account_.visited += account.visited;
  account_.causal += account.causal;
  account_.select_seconds += account.select_seconds;
  account_.attend_seconds += account.attend_seconds;
}

void SparsePrefill::prepare(const SequenceRows& sequence) {
  const size_t d = sequence.cache->shape().head_dim;
  for (Worker& w : workers_) {
    w.kernel.ensure(kernel::attend_scratch_bytes(d));
    w.q.ensure(kTileTokens * d);
    w.rows.ensure(kTileTokens * d);
    w.state.ensure(kTileTokens * (padded_head_dim(d) + 2));
    w.part.ensure(kTileTokens * (padded_head_dim(d) + 2));
    w.positions.resize(kTileTokens);
  }
}

void SparsePrefill::select(const PrefillPolicy& policy, const AttendLayer& layer,
                           const SequenceRows& sequence) {
  const SequenceCache& cache = *sequence.cache;
  const size_t tokens = cache.head(layer.layer, 0).length();
  blocks_ = touched_blocks(tokens - sequence.tokens, sequence.tokens, policy.query_block());
  lists_.resize(layer.heads * blocks_);
  for (RowList& list : lists_) list = {};
  bundles_.clear(cache.shape().kv_heads);
  pool_.run(cache.shape().kv_heads, [&](size_t kv_head, int worker) {
    select_head(policy, layer, sequence, kv_head, worker);
  });
}

void SparsePrefill::select_head(const PrefillPolicy& policy, const AttendLayer& layer,
                                const SequenceRows& sequence, size_t kv_head, int worker) {
  Worker& w = workers_[static_cast<size_t>(worker)];
  const SequenceCache& cache = *sequence.cache;
  const CacheShape& shape = cache.shape();
  const size_t d = shape.head_dim, group = layer.heads / shape.kv_heads;
  const HeadCache& head = cache.head(layer.layer, kv_head);
  w.keys.ensure(head.length() * d);
  cache.read_keys(layer.layer, kv_head, 0, {w.keys.data(), head.length() * d});
  PrefillView view;
  view.head.layer = layer.layer;
  view.head.kv_head = kv_head;
  view.head.head_dim = d;
  view.head.tokens = head.length();
  view.head.k = w.keys.data();
  view.head.scale = layer.scale;
  view.head.soft_cap = layer.soft_cap;
  view.head.window = layer.window;
  view.head.rounds = head.codec().format() == kernel::KvFormat::kBF16;
  view.prompt = sequence.prompt;
  view.queries.group = group;
  view.queries.tokens = sequence.tokens;
  view.queries.first = cache.length() - sequence.tokens;
  view.queries.stride = layer.heads * d;
  view.queries.q = layer.q + (sequence.first_row * layer.heads + kv_head * group) * d;
  policy.select(view, std::span(lists_).subspan(kv_head * group * blocks_, group * blocks_));
  policy.bundle(view, bundles_.of(kv_head));
}

void SparsePrefill::share(const SequenceRows& sequence, size_t heads, size_t query_block) {
  const size_t tokens = sequence.cache->length(), start = tokens - sequence.tokens;
  ends_.clear();
  for (size_t b = start / query_block + 1; ends_.size() < blocks_; ++b) {
    ends_.push_back(std::min(tokens, b * query_block));
  }
  sets_.resize(heads);
  pool_.run(heads, [&](size_t head, int) {
    sets_[head] = share_columns(std::span(lists_).subspan(head * blocks_, blocks_), ends_);
  });
}

// As many heads, from the first on, as kGatherBytes are enough for; returns the one after them.
size_t SparsePrefill::plan_gathering(const AttendLayer& layer, const SequenceRows& sequence,
                                     size_t first_head) {
  const SequenceCache& cache = *sequence.cache;
  const size_t bytes = cache.codec(layer.layer).page_bytes(cache.shape().head_dim);
  gathering_.clear();
  size_t pages = 0, head = first_head;
  for (; head < layer.heads; ++head) {
    size_t more = 0;
    for (const ColumnSet& set : sets_[head]) more += ceil_div(set.keys.size(), kPageTokens);
    if (head > first_head && (pages + more) * bytes > kGatherBytes) break;
    for (const ColumnSet& set : sets_[head]) {
      gathering_.push_back({&set, head, pages});
      pages += ceil_div(set.keys.size(), kPageTokens);
    }
  }
  gathered_.ensure(pages * bytes);
  gathered_positions_.resize(pages * kPageTokens);
  return head;
}

void SparsePrefill::gather_columns(const AttendLayer& layer, const SequenceRows& sequence) {
  const SequenceCache& cache = *sequence.cache;
  const StoreCodec& codec = cache.codec(layer.layer);
  const size_t d = cache.shape().head_dim, group = layer.heads / cache.shape().kv_heads;
  pool_.run(gathering_.size(), [&](size_t i, int) {
    const Gathered& g = gathering_[i];
    const HeadCache& head = cache.head(layer.layer, g.head / group);
    const std::span<const int32_t> keys = g.set->keys;
    for (size_t at = 0; at < keys.size(); at += kPageTokens) {
      const size_t page = g.page + at / kPageTokens;
      gather_page(head, d, keys.subspan(at, std::min(kPageTokens, keys.size() - at)),
                  {gathered_.data() + page * codec.page_bytes(d)},
                  gathered_positions_.data() + page * kPageTokens);
    }
  });
}

// Late tiles read most, so they come first.
void SparsePrefill::plan_tiles(const AttendLayer& layer, const SequenceRows& sequence,
                               size_t query_block, const HeadRange& heads) {
  tiles_.clear();
  const size_t tokens = sequence.cache->length(), start = tokens - sequence.tokens;
  for (size_t end = tokens; end > start;) {
    const size_t first = std::max(start, (end - 1) / kTileTokens * kTileTokens);
    const size_t block = first / query_block - start / query_block;
    const size_t begin = first_computed(layer, first);
    const double causal = static_cast<double>(ceil_div(end - begin, kPageTokens));
    for (size_t head = heads.first; head < heads.end; ++head) {
      const RowList& list = lists_[head * blocks_ + block];
      tiles_.push_back({head, first - start, end - first, &list, nullptr, 0});
      const double rows = static_cast<double>(end - first) * kPageTokens;
      account_.visited += rows * std::min(computed_pages(list, begin), causal);
      account_.causal += rows * causal;
      if (list.columns.empty()) continue;
      for (const Gathered& g : gathering_) {
        if (g.head != head || block < g.set->begin || block >= g.set->end) continue;
        tiles_.back().columns = g.set;
        tiles_.back().page = g.page;
      }
    }
    end = first;
  }
}

// Tells the account what a tile reads. Pieces outside of what its queries see are not computed.
void SparsePrefill::record(Ledger& ledger, const AttendLayer& layer, const Tile& tile,
                           size_t start) const {
  const size_t first = start + tile.first, last = first + tile.rows - 1;
  const size_t begin = first_computed(layer, first);
  const size_t end = (last / kPageTokens + 1) * kPageTokens;
  const Ledger::Tile queries{last, tile.rows};
  ledger.add_baseline(queries, begin, end - begin);
  const auto add = [&](int32_t key, size_t keys) {
    const auto at = static_cast<size_t>(key);
    if (at <= last && at + keys > begin) ledger.add_read(queries, at, std::min(keys, end - at));
  };
  for (const int32_t piece : tile.list->pieces) add(piece, kPageTokens);
  for (const int32_t column : tile.list->columns) add(column, 1);
}

// Views of the pages that pieces touch: where they lie whole, or are cut by a window's sinks. What
// begins elsewhere is left to be copied.
void SparsePrefill::collect_pieces(const HeadCache& head, const RowList& list, Worker& w) {
  const std::span<const PageView> pages = head.pages();
  const int32_t length = as_index(head.length());
  const int32_t sinks = list.window > 0 ? list.sinks : length;
  w.open.clear();
  w.windowed.clear();
  w.loose.clear();
  for (const int32_t piece : list.pieces) {
    const int32_t end = std::min(piece + as_index(kPageTokens), length);
    if (piece % as_index(kPageTokens) != 0 && list.window == 0) {
      w.loose.push_back(piece);
    } else {
      if (piece < sinks) add_keys(pages, piece, std::min(end, sinks), w.open);
      if (end > sinks) add_keys(pages, std::max(piece, sinks), end, w.windowed);
    }
  }
}

// Views of the gathered pages that hold the tile's columns.
void SparsePrefill::collect_columns(const StoreCodec& codec, size_t d, const Tile& tile,
                                    Worker& w) {
  const size_t bytes = codec.page_bytes(d);
  const RowList& list = *tile.list;
  const std::vector<uint64_t> masks = column_masks(*tile.columns, list.columns);
  const int32_t sinks = list.window > 0 ? list.sinks : INT32_MAX;
  w.open.clear();
  w.windowed.clear();
  for (size_t i = 0; i < masks.size(); ++i) {
    if (masks[i] == 0) continue;
    const std::span keys = std::span(tile.columns->keys).subspan(i * kPageTokens);
    const size_t n = std::min(kPageTokens, keys.size());
    const int32_t* positions = gathered_positions_.data() + (tile.page + i) * kPageTokens;
    const std::byte* data = gathered_.data() + (tile.page + i) * bytes;
    PageView view{data,          data + codec.key_bytes(d),
                  as_index(n),   positions[0],
                  positions,     codec.format(),
                  codec.format()};
    const auto cut = std::lower_bound(keys.begin(), keys.begin() + as_index(n), sinks);
    const uint64_t before = slot_bits(0, static_cast<int32_t>(cut - keys.begin()));
    view.slots = masks[i] & before;
    if (view.slots != 0) w.open.push_back(view);
    view.slots = masks[i] & ~before;
    if (view.slots != 0) w.windowed.push_back(view);
  }
}

// Copies pieces into pages of scratch; w.open views them.
void SparsePrefill::copy_pieces(const HeadCache& head, size_t d, std::span<const int32_t> from,
                                Worker& w) {
  const StoreCodec& codec = head.codec();
  const size_t bytes = codec.page_bytes(d);
  w.copies.ensure(kSegmentPages * bytes);
  w.open.clear();
  w.copied_positions.resize(kSegmentPages * kPageTokens);
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t first = static_cast<size_t>(from[i]);
    const size_t n = std::min(kPageTokens, head.length() - first);
    const PageData to{w.copies.data() + i * bytes};
    head.copy_run(d, {first, n}, to);
    for (size_t slot = n; slot < kPageTokens; ++slot) codec.clear_slot(to, d, slot);
    int32_t* positions = w.copied_positions.data() + i * kPageTokens;
    for (size_t slot = 0; slot < n; ++slot) positions[slot] = head.position(first + slot);
    w.open.push_back({to.bytes, to.bytes + codec.key_bytes(d), as_index(n), positions[0], positions,
                      codec.format(), codec.format()});
  }
}

void SparsePrefill::run_tile(const AttendLayer& layer, const SequenceRows& sequence,
                             const Tile& tile, int worker) {
  Worker& w = workers_[static_cast<size_t>(worker)];
  const SequenceCache& cache = *sequence.cache;
  const size_t d = cache.shape().head_dim;
  const HeadCache& head =
      cache.head(layer.layer, tile.head / (layer.heads / cache.shape().kv_heads));
  const size_t start = cache.length() - sequence.tokens;
  for (size_t r = 0; r < tile.rows; ++r) {
    const size_t row = (sequence.first_row + tile.first + r) * layer.heads + tile.head;
    std::memcpy(w.q.data() + r * d, layer.stored_q() + row * d, d * sizeof(float));
    w.positions[r] = static_cast<int32_t>(start + tile.first + r);
  }
  clear(state_at(w.state.data(), tile.rows), tile.rows, d);
  const int32_t window = layer.window > 0 && tile.list->window > 0
                             ? std::min(layer.window, tile.list->window)
                             : std::max(layer.window, tile.list->window);
  collect_pieces(head, *tile.list, w);
  attend(layer, cache, {&tile, w.open, layer.window}, w);
  attend(layer, cache, {&tile, w.windowed, window}, w);
  for (size_t at = 0; at < w.loose.size(); at += kSegmentPages) {
    const size_t n = std::min(kSegmentPages, w.loose.size() - at);
    copy_pieces(head, d, std::span(w.loose).subspan(at, n), w);
    attend(layer, cache, {&tile, w.open, layer.window}, w);
  }
  if (tile.columns) {
    collect_columns(head.codec(), d, tile, w);
    attend(layer, cache, {&tile, w.open, layer.window}, w);
    attend(layer, cache, {&tile, w.windowed, window}, w);
  }
  bundles_.join(tile.head, tile.first, state_at(w.state.data(), tile.rows), tile.rows);
  kernel::finish_attention(state_at(w.state.data(), tile.rows), tile.rows, d,
                           {w.rows.data(), d, nullptr});
  for (size_t r = 0; r < tile.rows; ++r) {
    const size_t row = (sequence.first_row + tile.first + r) * layer.heads + tile.head;
    std::memcpy(layer.out + row * d, w.rows.data() + r * d, d * sizeof(float));
  }
}

// Adds the views to the tile's state in runs of at least kSegmentPages that end where dense
// attention's segments do: with every page in the list the operations are the same.
void SparsePrefill::attend(const AttendLayer& layer, const SequenceCache& cache, const Pass& pass,
                           Worker& w) {
  const size_t d = cache.shape().head_dim, rows = pass.tile->rows;
  const std::span<const PageView> views = pass.views;
  kernel::AttendArgs args;
  args.format = cache.codec(layer.layer).format();
  args.head_dim = d;
  args.rows = rows;
  args.q = w.q.data();
  args.positions = w.positions.data();
  args.window = pass.window;
  args.scale = layer.scale;
  args.soft_cap = layer.soft_cap;
  args.scratch = w.kernel.data();
  const auto segment_of = [](const PageView& view) {
    return view.positions ? SIZE_MAX
                          : static_cast<size_t>(view.first_position) / kPageTokens / kSegmentPages;
  };
  for (size_t begin = 0; begin < views.size();) {
    size_t end = begin + 1;
    while (end < views.size() &&
           (end - begin < kSegmentPages || segment_of(views[end]) == segment_of(views[end - 1]))) {
      ++end;
    }
    const AttendState part = state_at(w.part.data(), rows);
    clear(part, rows, d);
    args.pages = views.data() + begin;
    args.page_count = end - begin;
    args.state = part;
    kv::attend_pages(kernels_, args);
    kernel::merge_partials(state_at(w.state.data(), rows), part, rows, padded_head_dim(d));
    begin = end;
  }
}

}  // namespace fathom::kv
