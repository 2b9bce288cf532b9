#include "kv/attend.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace fathom::kv {

using kernel::AttendState;
using kernel::kAttendRows;
using kernel::kPageTokens;
using kernel::kSegmentPages;
using kernel::padded_head_dim;

namespace {

size_t partial_floats(size_t head_dim) { return kAttendRows * (padded_head_dim(head_dim) + 2); }

void clear(const AttendState& state, size_t rows, size_t head_dim) {
  std::fill_n(state.max, rows, -std::numeric_limits<float>::infinity());
  std::fill_n(state.sum, rows, 0.0f);
  std::fill_n(state.out, rows * padded_head_dim(head_dim), 0.0f);
}

}  // namespace

Attender::Attender(ThreadPool& pool, const kernel::Kernels& kernels)
    : pool_(pool), kernels_(kernels), workers_(static_cast<size_t>(pool.size())) {}

AttendState Attender::partial(float* memory) {
  return {memory, memory + kAttendRows, memory + 2 * kAttendRows};
}

void Attender::run(const AttendLayer& layer, std::span<const SequenceRows> sequences) {
  if (sequences.empty()) return;
  const size_t d = sequences[0].cache->shape().head_dim;
  for (WorkerScratch& w : workers_) {
    w.kernel.ensure(kernel::attend_scratch_bytes(d));
    w.q.ensure(kAttendRows * d);
    w.rows.ensure(kAttendRows * d);
    w.state.ensure(partial_floats(d));
    w.segment_state.ensure(partial_floats(d));
    w.positions.resize(kAttendRows);
  }
  write(layer, sequences);
  plan(layer, sequences);
  // Enough items to keep everybody busy to the end: each runs its pages by itself.
  if (items_.size() >= 4 * workers_.size() || workers_.size() == 1) {
    pool_.run(items_.size(), [&](size_t i, int worker) { run_item(layer, items_[i], worker); });
  } else {
    run_split(layer);
  }
}

void Attender::write(const AttendLayer& layer, std::span<const SequenceRows> sequences) {
  const CacheShape& shape = sequences[0].cache->shape();
  const size_t stride = shape.kv_heads * shape.head_dim;
  pool_.run(sequences.size() * shape.kv_heads, [&](size_t task, int) {
    const SequenceRows& s = sequences[task / shape.kv_heads];
    const size_t head = task % shape.kv_heads;
    const size_t offset = s.first_row * stride + head * shape.head_dim;
    const size_t first = s.cache->length() - s.tokens;
    s.cache->write(layer.layer, head, first,
                   {layer.k + offset, layer.v + offset, stride, s.tokens});
  });
}

// Items in descending order of work: late tiles see the most keys.
void Attender::plan(const AttendLayer& layer, std::span<const SequenceRows> sequences) {
  items_.clear();
  for (const SequenceRows& s : sequences) {
    const CacheShape& shape = s.cache->shape();
    const size_t group = layer.heads / shape.kv_heads;
    const size_t rows = s.tokens * group;
    const size_t start = s.cache->length() - s.tokens;
    for (size_t end = rows; end > 0;) {
      const size_t first = (end - 1) / kAttendRows * kAttendRows;
      const size_t last_position = start + (end - 1) / group;
      const size_t first_position = start + first / group;
      const size_t window = static_cast<size_t>(layer.window);
      const size_t oldest =
          window > 0 && first_position + 1 > window ? first_position + 1 - window : 0;
      for (size_t head = 0; head < shape.kv_heads; ++head) {
        items_.push_back(
            {&s, head, first, end - first, oldest / kPageTokens, last_position / kPageTokens + 1});
      }
      end = first;
    }
  }
}

void Attender::gather(const AttendLayer& layer, const Item& item, int worker) {
  WorkerScratch& w = workers_[static_cast<size_t>(worker)];
  const SequenceRows& s = *item.sequence;
  const CacheShape& shape = s.cache->shape();
  const size_t group = layer.heads / shape.kv_heads;
  const size_t start = s.cache->length() - s.tokens;
  for (size_t r = 0; r < item.rows; ++r) {
    const size_t token = (item.first + r) / group;
    const size_t head = item.kv_head * group + (item.first + r) % group;
    const size_t row = (s.first_row + token) * layer.heads + head;
    std::memcpy(w.q.data() + r * shape.head_dim, layer.q + row * shape.head_dim,
                shape.head_dim * sizeof(float));
    w.positions[r] = static_cast<int32_t>(start + token);
  }
}

// REQUIRES: gather() of the item on this worker.
void Attender::attend_segment(const AttendLayer& layer, const Segment& segment, int worker,
                              const AttendState& state) {
  const Item& item = items_[segment.item];
  WorkerScratch& w = workers_[static_cast<size_t>(worker)];
  const SequenceCache& cache = *item.sequence->cache;
  const size_t d = cache.shape().head_dim;
  clear(state, item.rows, d);
  kernel::AttendArgs args;
  args.format = cache.codec().format();
  args.head_dim = d;
  args.rows = item.rows;
  args.q = w.q.data();
  args.positions = w.positions.data();
  args.window = layer.window;
  args.scale = layer.scale;
  args.soft_cap = layer.soft_cap;
  args.pages = cache.head(layer.layer, item.kv_head).pages().data() + segment.page_begin;
  args.page_count = segment.page_end - segment.page_begin;
  args.state = state;
  args.scratch = w.kernel.data();
  kernels_.attend(args.format)(args);
}

void Attender::run_item(const AttendLayer& layer, const Item& item, int worker) {
  WorkerScratch& w = workers_[static_cast<size_t>(worker)];
  const size_t d = item.sequence->cache->shape().head_dim;
  const size_t index = static_cast<size_t>(&item - items_.data());
  const AttendState total = partial(w.state.data());
  const AttendState part = partial(w.segment_state.data());
  gather(layer, item, worker);
  bool first = true;
  for (size_t begin = item.page_begin; begin < item.page_end;) {
    const size_t end = std::min(item.page_end, (begin / kSegmentPages + 1) * kSegmentPages);
    attend_segment(layer, {index, begin, end}, worker, first ? total : part);
    if (!first) kernel::merge_partials(total, part, item.rows, padded_head_dim(d));
    first = false;
    begin = end;
  }
  finish(layer, item, total, w.rows.data());
}

void Attender::plan_segments() {
  segments_.clear();
  for (Item& item : items_) {
    item.segment_begin = segments_.size();
    for (size_t begin = item.page_begin; begin < item.page_end;) {
      const size_t end = std::min(item.page_end, (begin / kSegmentPages + 1) * kSegmentPages);
      segments_.push_back({static_cast<size_t>(&item - items_.data()), begin, end});
      begin = end;
    }
    item.segment_end = segments_.size();
  }
}

void Attender::run_split(const AttendLayer& layer) {
  const size_t d = items_[0].sequence->cache->shape().head_dim;
  plan_segments();
  partials_.ensure(segments_.size() * partial_floats(d));
  const auto part = [&](size_t i) { return partial(partials_.data() + i * partial_floats(d)); };
  pool_.run(segments_.size(), [&](size_t i, int worker) {
    gather(layer, items_[segments_[i].item], worker);
    attend_segment(layer, segments_[i], worker, part(i));
  });
  pool_.run(items_.size(), [&](size_t i, int worker) {
    const Item& item = items_[i];
    const AttendState total = part(item.segment_begin);
    for (size_t s = item.segment_begin + 1; s < item.segment_end; ++s) {
      kernel::merge_partials(total, part(s), item.rows, padded_head_dim(d));
    }
    finish(layer, item, total, workers_[static_cast<size_t>(worker)].rows.data());
  });
}

void Attender::finish(const AttendLayer& layer, const Item& item, const AttendState& state,
                      float* rows) {
  const SequenceRows& s = *item.sequence;
  const CacheShape& shape = s.cache->shape();
  const size_t d = shape.head_dim;
  const size_t group = layer.heads / shape.kv_heads;
  kernel::finish_attention(state, item.rows, d, {rows, d, nullptr});
  for (size_t r = 0; r < item.rows; ++r) {
    const size_t token = (item.first + r) / group;
    const size_t head = item.kv_head * group + (item.first + r) % group;
    const size_t row = (s.first_row + token) * layer.heads + head;
    std::memcpy(layer.out + row * d, rows + r * d, d * sizeof(float));
  }
}

}  // namespace fathom::kv
