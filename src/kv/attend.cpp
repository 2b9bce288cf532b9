#include "kv/attend.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/stopwatch.h"
#include "kv/attention_state.h"
#include "kv/extra_token.h"
#include "kv/thin_keys.h"

namespace fathom::kv {

using kernel::AttendState;
using kernel::kAttendRows;
using kernel::kPageTokens;
using kernel::kSegmentPages;
using kernel::padded_head_dim;

namespace {

// Rows [row, row + rows) of `from` as the whole of `to`.
void copy_rows(const AttendState& from, size_t row, const AttendState& to, size_t rows,
               size_t head_dim) {
  const size_t width = padded_head_dim(head_dim);
  std::copy_n(from.max + row, rows, to.max);
  std::copy_n(from.sum + row, rows, to.sum);
  std::copy_n(from.out + row * width, rows * width, to.out);
}

// Leading pages that two heads have in common. Forks share all pages up to some point and none
// beyond it, unless tokens were left out of them.
size_t common_pages(std::span<const kernel::PageView> a, std::span<const kernel::PageView> b,
                    bool whole) {
  if (!whole) {
    const auto same = [](const kernel::PageView& x, const kernel::PageView& y) {
      return x.k == y.k;
    };
    return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end(), same).first -
                               a.begin());
  }
  size_t low = 0, high = std::min(a.size(), b.size());
  while (low < high) {
    const size_t middle = (low + high + 1) / 2;
    if (a[middle - 1].k == b[middle - 1].k) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace

Attender::Attender(ThreadPool& pool, const kernel::Kernels& kernels,
                   std::shared_ptr<const PrefillPolicy> prefill,
                   std::shared_ptr<const FetchPolicy> fetch)
    : pool_(pool),
      kernels_(kernels),
      prefill_(std::move(prefill)),
      sparse_(pool, kernels),
      fetch_(pool, kernels, std::move(fetch)),
      workers_(static_cast<size_t>(pool.size())) {}

void Attender::run(const AttendLayer& asked, std::span<const SequenceRows> sequences) {
  if (sequences.empty()) return;
  const Stopwatch watch;
  AttendLayer layer = asked;
  write(layer, sequences);
  enter_frame(layer, sequences);
  dense_.clear();
  decoding_.clear();
  reading_.clear();
  const bool fetched = fetch_.reads(layer);
  for (const SequenceRows& s : sequences) {
    if (s.cache->ledger() && s.decodes() && layer.layer == 0) s.cache->ledger()->add_step();
    if (fetched && !s.decodes()) reading_.push_back(s);
    if (prefill_ && s.tokens > 1 && s.cache->whole()) {
      sparse_.run(*prefill_, layer, s);
    } else if (fetched && s.decodes()) {
      decoding_.push_back(s);
    } else {
      dense_.push_back(s);
      if (s.cache->ledger() && !s.decodes()) record(layer, s);
    }
  }
  fetch_.read(layer, reading_);
  fetch_.run(layer, decoding_);
  if (!dense_.empty()) attend_densely(layer, dense_);
  leave_frame(layer, sequences);
  seconds_ += watch.seconds();
}

void Attender::add_account(const PrefillAccount& account, double seconds) {
  sparse_.add_account(account);
  seconds_ += seconds;
}

// fn(row, kv head) for the rows of every token and query head.
template <class Fn>
void Attender::for_rows(const AttendLayer& layer, std::span<const SequenceRows> sequences, Fn fn) {
  const size_t group = layer.heads / sequences[0].cache->shape().kv_heads;
  for (const SequenceRows& s : sequences) {
    const auto token = [&](size_t t, int) {
      for (size_t h = 0; h < layer.heads; ++h) fn((s.first_row + t) * layer.heads + h, h / group);
    };
    if (s.tokens == 1) {
      token(0, 0);
    } else {
      pool_.run(s.tokens, token);
    }
  }
}

void Attender::enter_frame(AttendLayer& layer, std::span<const SequenceRows> sequences) {
  const SequenceCache& cache = *sequences[0].cache;
  const Frame* frame = cache.codec(layer.layer).key_frame();
  if (!frame) return;
  const size_t d = cache.shape().head_dim;
  size_t rows = 0;
  for (const SequenceRows& s : sequences) rows = std::max(rows, s.first_row + s.tokens);
  framed_q_.ensure(rows * layer.heads * d);
  for_rows(layer, sequences, [&](size_t row, size_t kv_head) {
    float* to = framed_q_.data() + row * d;
    std::copy_n(layer.q + row * d, d, to);
    frame->enter({layer.layer, kv_head}, to, d);
  });
  layer.framed_q = framed_q_.data();
}

void Attender::leave_frame(const AttendLayer& layer, std::span<const SequenceRows> sequences) {
  const SequenceCache& cache = *sequences[0].cache;
  const Frame* frame = cache.codec(layer.layer).value_frame();
  if (!frame) return;
  const size_t d = cache.shape().head_dim;
  for_rows(layer, sequences, [&](size_t row, size_t kv_head) {
    frame->leave({layer.layer, kv_head}, layer.out + row * d, d);
  });
}

// Tells the account of a chunk that reads every key that is there.
void Attender::record(const AttendLayer& layer, const SequenceRows& s) {
  Ledger& ledger = *s.cache->ledger();
  const size_t start = s.cache->length() - s.tokens;
  const size_t window = static_cast<size_t>(layer.window);
  const size_t kv_heads = s.cache->shape().kv_heads;
  for (size_t first = start, end; first < start + s.tokens; first = end) {
    const size_t page_end = (first / kPageTokens + 1) * kPageTokens;
    end = std::min(start + s.tokens, page_end);
    const Ledger::Tile tile{end - 1, end - first, layer.heads};
    const size_t oldest = window > 0 && first + 1 > window ? first + 1 - window : 0;
    const size_t begin = oldest / kPageTokens * kPageTokens;
    ledger.add_baseline(tile, begin, page_end - begin);
    const size_t own = s.cache->whole() ? begin : start;
    ledger.add_read(tile, own, page_end - own);
    for (size_t h = 0; h < kv_heads && !s.cache->whole(); ++h) {
      for (const kernel::PageView& page : s.cache->head(layer.layer, h).pages()) {
        for_each_run(page, [&](size_t position, size_t tokens) {
          if (position >= start) return;
          const size_t keys = std::min(tokens, start - position);
          ledger.add_read({tile.last, tile.rows, layer.heads / kv_heads}, position, keys);
        });
      }
    }
  }
}

void Attender::attend_densely(const AttendLayer& layer, std::span<const SequenceRows> sequences) {
  const size_t d = sequences[0].cache->shape().head_dim;
  for (WorkerScratch& w : workers_) {
    w.kernel.ensure(kernel::attend_scratch_bytes(d));
    w.q.ensure(kAttendRows * d);
    w.rows.ensure(kAttendRows * d);
    w.state.ensure(state_floats(kAttendRows, d));
    w.segment_state.ensure(state_floats(kAttendRows, d));
    w.positions.resize(kAttendRows);
  }
  plan(layer, sequences);
  // Enough items to keep everybody busy to the end: each runs its pages by itself.
  const bool shared = sequences.size() > 1 && find_shared_pages(layer.layer);
  if (!shared && (items_.size() >= 4 * workers_.size() || workers_.size() == 1)) {
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
    if (traffic_) {
      const size_t page = s.cache->codec(layer.layer).page_bytes(shape.head_dim);
      traffic_->written += s.tokens * page / kPageTokens;
    }
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
        // Where tokens were left out, positions say nothing of pages: the kernel looks at each.
        const size_t pages = s.cache->head(layer.layer, head).pages().size();
        const bool whole = s.cache->whole();
        items_.push_back({&s, head, first, end - first, whole ? oldest / kPageTokens : 0,
                          whole ? last_position / kPageTokens + 1 : pages});
      }
      end = first;
    }
  }
}

// The item's queries and positions, to rows `to` and following of the worker's tile.
void Attender::gather(const AttendLayer& layer, const Item& item, size_t to, int worker) {
  WorkerScratch& w = workers_[static_cast<size_t>(worker)];
  const SequenceRows& s = *item.sequence;
  const CacheShape& shape = s.cache->shape();
  const size_t group = layer.heads / shape.kv_heads;
  const size_t start = s.cache->length() - s.tokens;
  for (size_t r = 0; r < item.rows; ++r) {
    const size_t token = (item.first + r) / group;
    const size_t head = item.kv_head * group + (item.first + r) % group;
    const size_t row = (s.first_row + token) * layer.heads + head;
    std::memcpy(w.q.data() + (to + r) * shape.head_dim, layer.stored_q() + row * shape.head_dim,
                shape.head_dim * sizeof(float));
    w.positions[to + r] = static_cast<int32_t>(start + token);
  }
}

// The first `rows` gathered rows over a segment's pages.
void Attender::attend_pages(const AttendLayer& layer, const Segment& segment, size_t rows,
                            int worker, const AttendState& state, const kernel::PageView* next) {
  const Item& item = items_[segment.item];
  WorkerScratch& w = workers_[static_cast<size_t>(worker)];
  const SequenceCache& cache = *item.sequence->cache;
  const size_t d = cache.shape().head_dim;
  clear(state, rows, d);
  kernel::AttendArgs args;
  args.format = cache.codec(layer.layer).format();
  args.head_dim = d;
  args.rows = rows;
  args.q = w.q.data();
  args.positions = w.positions.data();
  args.window = layer.window;
  args.scale = layer.scale;
  args.soft_cap = layer.soft_cap;
  args.pages = cache.head(layer.layer, item.kv_head).pages().data() + segment.page_begin;
  args.page_count = segment.page_end - segment.page_begin;
  args.next = next;
  args.state = state;
  args.scratch = w.kernel.data();
  kv::attend_pages(kernels_, args);
  if (!traffic_) return;
  const HeadCache& head = cache.head(layer.layer, item.kv_head);
  for (size_t p = segment.page_begin; p < segment.page_end; ++p) {
    traffic_->read += page_traffic(head, p);
  }
}

void Attender::run_item(const AttendLayer& layer, const Item& item, int worker) {
  WorkerScratch& w = workers_[static_cast<size_t>(worker)];
  const size_t d = item.sequence->cache->shape().head_dim;
  const size_t index = static_cast<size_t>(&item - items_.data());
  const AttendState total = state_at(w.state.data(), item.rows);
  const AttendState part = state_at(w.segment_state.data(), item.rows);
  gather(layer, item, 0, worker);
  bool first = true;
  for (size_t begin = item.page_begin; begin < item.page_end;) {
    const size_t end = std::min(item.page_end, (begin / kSegmentPages + 1) * kSegmentPages);
    const auto pages = item.sequence->cache->head(layer.layer, item.kv_head).pages();
    attend_pages(layer, {index, begin, end, 0}, item.rows, worker, first ? total : part,
                 end < item.page_end ? &pages[end] : nullptr);
    if (!first) kernel::merge_partials(total, part, item.rows, padded_head_dim(d));
    first = false;
    begin = end;
  }
  finish(layer, item, total, w.rows.data());
}

// Chains items whose heads begin with the same pages. True if there are any.
bool Attender::find_shared_pages(size_t layer) {
  bool any = false;
  leaders_.clear();
  for (size_t i = 0; i < items_.size(); ++i) {
    Item& item = items_[i];
    item.leader = i;
    item.chain_rows = item.rows;
    bool joined = false;
    for (const size_t leader : leaders_) {
      const Item& l = items_[leader];
      if (l.kv_head != item.kv_head || l.sequence == item.sequence) continue;
      joined = join_chain(layer, leader, i);
      if (joined) break;
    }
    if (!joined) leaders_.push_back(i);
    any |= joined;
  }
  return any;
}

bool Attender::join_chain(size_t layer, size_t leader, size_t index) {
  Item& l = items_[leader];
  Item& item = items_[index];
  if (l.page_begin != item.page_begin || l.chain_rows + item.rows > kAttendRows) return false;
  const size_t shared = common_pages(l.sequence->cache->head(layer, l.kv_head).pages(),
                                     item.sequence->cache->head(layer, item.kv_head).pages(),
                                     l.sequence->cache->whole() && item.sequence->cache->whole());
  if (shared < item.page_begin + kSegmentPages) return false;
  item.leader = leader;
  item.shared_pages = shared;
  item.next = l.next;
  l.next = index;
  l.chain_rows += item.rows;
  return true;
}

void Attender::plan_segments(size_t head_dim) {
  segments_.clear();
  size_t floats = 0;
  for (Item& item : items_) {
    item.segment_begin = segments_.size();
    for (size_t begin = item.page_begin; begin < item.page_end;) {
      const size_t end = std::min(item.page_end, (begin / kSegmentPages + 1) * kSegmentPages);
      segments_.push_back({static_cast<size_t>(&item - items_.data()), begin, end, floats});
      floats += state_floats(item.rows, head_dim);
      begin = end;
    }
    item.segment_end = segments_.size();
  }
  partials_.ensure(floats);
}

// A leader's segments with the same segments of its chain; what a chain's items have for
// themselves.
void Attender::plan_tasks() {
  tasks_.clear();
  members_.clear();
  for (size_t s = 0; s < segments_.size(); ++s) {
    const Segment& segment = segments_[s];
    const Item& item = items_[segment.item];
    const bool follows = item.leader != kNone && item.leader != segment.item;
    if (follows && segment.page_end <= item.shared_pages) continue;  // the leader takes it along
    const size_t begin = members_.size();
    members_.push_back(s);
    for (size_t i = follows ? kNone : item.next; i != kNone; i = items_[i].next) {
      if (segment.page_end <= items_[i].shared_pages) {
        members_.push_back(items_[i].segment_begin + (s - item.segment_begin));
      }
    }
    tasks_.push_back({begin, members_.size()});
  }
}

AttendState Attender::partial(const Segment& segment) {
  return state_at(partials_.data() + segment.partial, items_[segment.item].rows);
}

const kernel::PageView& Attender::first_page(const AttendLayer& layer, const Task& task) const {
  const Segment& segment = segments_[members_[task.begin]];
  const Item& item = items_[segment.item];
  return item.sequence->cache->head(layer.layer, item.kv_head).pages()[segment.page_begin];
}

// `next`: the page that the worker's next task begins with, or null.
void Attender::run_task(const AttendLayer& layer, const Task& task, int worker,
                        const kernel::PageView* next) {
  const Segment& first = segments_[members_[task.begin]];
  size_t rows = 0;
  for (size_t m = task.begin; m < task.end; ++m) {
    const Item& item = items_[segments_[members_[m]].item];
    gather(layer, item, rows, worker);
    rows += item.rows;
  }
  if (task.end - task.begin == 1) {
    attend_pages(layer, first, rows, worker, partial(first), next);
    return;
  }
  const size_t d = items_[first.item].sequence->cache->shape().head_dim;
  const AttendState all = state_at(workers_[static_cast<size_t>(worker)].state.data(), rows);
  attend_pages(layer, first, rows, worker, all, next);
  for (size_t m = task.begin, row = 0; m < task.end; ++m) {
    const Segment& segment = segments_[members_[m]];
    copy_rows(all, row, partial(segment), items_[segment.item].rows, d);
    row += items_[segment.item].rows;
  }
}

void Attender::run_split(const AttendLayer& layer) {
  const size_t d = items_[0].sequence->cache->shape().head_dim;
  plan_segments(d);
  plan_tasks();
  // In runs, so that a worker's tasks follow each other and each asks for the next one's first
  // page.
  const size_t run = std::max<size_t>(1, tasks_.size() / (kRunsPerWorker * workers_.size()));
  pool_.run((tasks_.size() + run - 1) / run, [&](size_t i, int worker) {
    const size_t end = std::min(tasks_.size(), (i + 1) * run);
    for (size_t t = i * run; t < end; ++t) {
      run_task(layer, tasks_[t], worker, t + 1 < end ? &first_page(layer, tasks_[t + 1]) : nullptr);
    }
  });
  pool_.run(items_.size(), [&](size_t i, int worker) {
    const Item& item = items_[i];
    const AttendState total = partial(segments_[item.segment_begin]);
    for (size_t s = item.segment_begin + 1; s < item.segment_end; ++s) {
      kernel::merge_partials(total, partial(segments_[s]), item.rows, padded_head_dim(d));
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
  const auto row_of = [&](size_t r) {
    const size_t token = (item.first + r) / group;
    const size_t head = item.kv_head * group + (item.first + r) % group;
    return (s.first_row + token) * layer.heads + head;
  };
  join_extra_token(s.cache->head(layer.layer, item.kv_head).extra(), layer, state, item.rows,
                   [&](size_t r) { return layer.stored_q() + row_of(r) * d; });
  kernel::finish_attention(state, item.rows, d, {rows, d, nullptr});
  for (size_t r = 0; r < item.rows; ++r) {
    std::memcpy(layer.out + row_of(r) * d, rows + r * d, d * sizeof(float));
  }
}

}  // namespace fathom::kv
