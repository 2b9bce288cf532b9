#include "kv/sparse_prefill.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>

namespace fathom::kv {
namespace {

using kernel::AttendState;
using kernel::kAttendRows;
using kernel::kPageTokens;
using kernel::kSegmentPages;
using kernel::padded_head_dim;
using kernel::PageView;

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

AttendState state_at(Buffer<float>& memory, size_t rows) {
  return {memory.data(), memory.data() + rows, memory.data() + 2 * rows};
}

void clear(const AttendState& state, size_t rows, size_t head_dim) {
  std::fill_n(state.max, rows, -std::numeric_limits<float>::infinity());
  std::fill_n(state.sum, rows, 0.0f);
  std::fill_n(state.out, rows * padded_head_dim(head_dim), 0.0f);
}

// Tiles of a row's pages that dense attention would visit for queries up to `last`.
double causal_pages(size_t last) { return static_cast<double>(last / kPageTokens + 1); }

}  // namespace

SparsePrefill::SparsePrefill(ThreadPool& pool, const kernel::Kernels& kernels)
    : pool_(pool), kernels_(kernels), workers_(static_cast<size_t>(pool.size())) {}

void SparsePrefill::run(const PrefillPolicy& policy, const AttendLayer& layer,
                        const SequenceRows& sequence) {
  prepare(sequence);
  const Stopwatch selecting;
  select(policy, layer, sequence);
  account_.select_seconds += selecting.seconds();
  const Stopwatch attending;
  plan(layer, sequence, policy.query_block());
  pool_.run(tiles_.size(),
            [&](size_t i, int worker) { run_tile(layer, sequence, tiles_[i], worker); });
  account_.attend_seconds += attending.seconds();
}

void SparsePrefill::prepare(const SequenceRows& sequence) {
  const size_t d = sequence.cache->shape().head_dim;
  for (Worker& w : workers_) {
    w.kernel.ensure(kernel::attend_scratch_bytes(d));
    w.q.ensure(kAttendRows * d);
    w.rows.ensure(kAttendRows * d);
    w.state.ensure(kAttendRows * (padded_head_dim(d) + 2));
    w.part.ensure(kAttendRows * (padded_head_dim(d) + 2));
    w.positions.resize(kAttendRows);
  }
}

void SparsePrefill::select(const PrefillPolicy& policy, const AttendLayer& layer,
                           const SequenceRows& sequence) {
  const SequenceCache& cache = *sequence.cache;
  const size_t tokens = cache.head(layer.layer, 0).length();
  blocks_ = touched_blocks(tokens - sequence.tokens, sequence.tokens, policy.query_block());
  lists_.resize(layer.heads * blocks_);
  for (RowList& list : lists_) list = {};
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
  view.prompt = sequence.prompt;
  view.queries.group = group;
  view.queries.tokens = sequence.tokens;
  view.queries.first = cache.length() - sequence.tokens;
  view.queries.stride = layer.heads * d;
  view.queries.q = layer.q + (sequence.first_row * layer.heads + kv_head * group) * d;
  policy.select(view, std::span(lists_).subspan(kv_head * group * blocks_, group * blocks_));
}

// Late tiles read most, so they come first.
void SparsePrefill::plan(const AttendLayer& layer, const SequenceRows& sequence,
                         size_t query_block) {
  tiles_.clear();
  const size_t tokens = sequence.cache->head(layer.layer, 0).length();
  const size_t start = tokens - sequence.tokens;
  for (size_t end = tokens; end > start;) {
    const size_t first = std::max(start, (end - 1) / kAttendRows * kAttendRows);
    const size_t block = first / query_block - start / query_block;
    for (size_t head = 0; head < layer.heads; ++head) {
      const RowList& list = lists_[head * blocks_ + block];
      tiles_.push_back({head, first - start, end - first, &list});
      const double pages = static_cast<double>(list.pieces.size()) +
                           static_cast<double>(list.columns.size()) / kPageTokens;
      const double rows = static_cast<double>(end - first) * kPageTokens;
      account_.visited += rows * std::min(pages, causal_pages(end - 1));
      account_.causal += rows * causal_pages(end - 1);
    }
    end = first;
  }
  if (Ledger* ledger = sequence.cache->ledger()) {
    for (const Tile& tile : tiles_) record(*ledger, layer, tile, start);
  }
}

// Tells the account what a tile reads. Pieces outside of what its queries see are not computed.
void SparsePrefill::record(Ledger& ledger, const AttendLayer& layer, const Tile& tile,
                           size_t start) const {
  const size_t first = start + tile.first, last = first + tile.rows - 1;
  const size_t window = static_cast<size_t>(layer.window);
  const size_t oldest = window > 0 && first + 1 > window ? first + 1 - window : 0;
  const size_t begin = oldest / kPageTokens * kPageTokens;
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

// Splits the list into views for the kernel: pages as they lie, and gathered ones.
void SparsePrefill::collect(const HeadCache& head, const SequenceCache& cache, const Tile& tile,
                            Worker& w) {
  const std::span<const PageView> pages = head.pages();
  const RowList& list = *tile.list;
  const int32_t length = static_cast<int32_t>(head.length());
  const int32_t sinks = list.window > 0 ? list.sinks : length;
  w.open.clear();
  w.windowed.clear();
  w.gathered_positions.clear();
  std::vector<int32_t> open_keys, windowed_keys;
  for (const int32_t piece : list.pieces) {
    const int32_t end = std::min(piece + static_cast<int32_t>(kPageTokens), length);
    const bool whole = piece % static_cast<int32_t>(kPageTokens) == 0;
    if (whole && (end <= sinks || piece >= sinks)) {
      (piece >= sinks ? w.windowed : w.open)
          .push_back(pages[static_cast<size_t>(piece) / kPageTokens]);
      continue;
    }
    for (int32_t key = piece; key < end; ++key) {
      (key >= sinks ? windowed_keys : open_keys).push_back(key);
    }
  }
  for (const int32_t key : list.columns) (key >= sinks ? windowed_keys : open_keys).push_back(key);
  const size_t most = (open_keys.size() + windowed_keys.size()) / kPageTokens + 2;
  w.gathered.ensure(most * head.codec().page_bytes(cache.shape().head_dim));
  w.gathered_positions.resize(most * kPageTokens);
  std::sort(open_keys.begin(), open_keys.end());
  std::sort(windowed_keys.begin(), windowed_keys.end());
  w.index = std::move(open_keys);
  size_t used = gather(cache, head, w, 0, w.open);
  w.index = std::move(windowed_keys);
  gather(cache, head, w, used, w.windowed);
}

// Copies the keys of w.index into pages of scratch from `used` on; returns the pages used so far.
size_t SparsePrefill::gather(const SequenceCache& cache, const HeadCache& head, Worker& w,
                             size_t used, std::vector<PageView>& views) {
  const StoreCodec& codec = head.codec();
  const size_t d = cache.shape().head_dim, bytes = codec.page_bytes(d);
  for (size_t first = 0; first < w.index.size(); first += kPageTokens, ++used) {
    const size_t n = std::min(kPageTokens, w.index.size() - first);
    const PageData to{w.gathered.data() + used * bytes};
    int32_t* positions = w.gathered_positions.data() + used * kPageTokens;
    for (size_t slot = 0; slot < n; ++slot) {
      const size_t key = static_cast<size_t>(w.index[first + slot]);
      head.copy_token(d, key, to, slot);
      positions[slot] = head.position(key);
    }
    for (size_t slot = n; slot < kPageTokens; ++slot) codec.clear_slot(to, d, slot);
    views.push_back({to.bytes, to.bytes + codec.key_bytes(d), static_cast<int32_t>(n), positions[0],
                     positions, codec.format(), codec.format()});
  }
  return used;
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
  collect(head, cache, tile, w);
  clear(state_at(w.state, tile.rows), tile.rows, d);
  attend(layer, cache, {&tile, &w.open, layer.window}, w);
  if (!w.windowed.empty()) {
    const int32_t window = layer.window > 0 && tile.list->window > 0
                               ? std::min(layer.window, tile.list->window)
                               : std::max(layer.window, tile.list->window);
    attend(layer, cache, {&tile, &w.windowed, window}, w);
  }
  kernel::finish_attention(state_at(w.state, tile.rows), tile.rows, d, {w.rows.data(), d, nullptr});
  for (size_t r = 0; r < tile.rows; ++r) {
    const size_t row = (sequence.first_row + tile.first + r) * layer.heads + tile.head;
    std::memcpy(layer.out + row * d, w.rows.data() + r * d, d * sizeof(float));
  }
}

// Adds the views to the tile's state, in runs that end where dense attention's segments do: with
// every page in the list the operations are the same.
void SparsePrefill::attend(const AttendLayer& layer, const SequenceCache& cache, const Pass& pass,
                           Worker& w) {
  const size_t d = cache.shape().head_dim, rows = pass.tile->rows;
  const std::vector<PageView>& views = *pass.views;
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
    while (end < views.size() && segment_of(views[end]) == segment_of(views[begin])) ++end;
    const AttendState part = state_at(w.part, rows);
    clear(part, rows, d);
    args.pages = views.data() + begin;
    args.page_count = end - begin;
    args.state = part;
    kernels_.attend(args.format)(args);
    kernel::merge_partials(state_at(w.state, rows), part, rows, padded_head_dim(d));
    begin = end;
  }
}

}  // namespace fathom::kv
