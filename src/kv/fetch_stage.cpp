#include "kv/fetch_stage.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "kv/extra_token.h"

namespace fathom::kv {
namespace {

using kernel::AttendState;
using kernel::kPageTokens;
using kernel::kSegmentPages;
using kernel::padded_head_dim;
using kernel::PageView;

std::string missing(const FetchNeeds& needs) {
  if (needs.unrotated) return "queries and keys before their rotation";
  if (needs.sentences) return "where sentences end";
  if (needs.surprise) return "the probabilities of the text's tokens";
  if (needs.observed > 0) return "to be shown the prompt's queries";
  if (needs.joint) return "a layer's heads to decide together";
  if (needs.block == 0) return "to read all keys now and then";
  return "";
}

AttendState state_at(Buffer<float>& memory, size_t rows) {
  return {memory.data(), memory.data() + rows, memory.data() + 2 * rows};
}

void clear(const AttendState& state, size_t rows, size_t head_dim) {
  std::fill_n(state.max, rows, -std::numeric_limits<float>::infinity());
  std::fill_n(state.sum, rows, 0.0f);
  std::fill_n(state.out, rows * padded_head_dim(head_dim), 0.0f);
}

// The pages that runs touch, with the slots that they name. Returns the keys named.
size_t collect(std::span<const PageView> pages, const Runs& runs, std::vector<PageView>& views) {
  size_t keys = 0, last = SIZE_MAX;
  views.clear();
  for (const Run& run : runs) {
    keys += static_cast<size_t>(run.end - run.first);
    for (size_t at = static_cast<size_t>(run.first); at < static_cast<size_t>(run.end);) {
      const size_t page = at / kPageTokens, slot = at % kPageTokens;
      const size_t n = std::min(kPageTokens - slot, static_cast<size_t>(run.end) - at);
      if (page != last) {
        views.push_back(pages[page]);
        views.back().slots = 0;
      }
      last = page;
      const uint64_t bits = n == kPageTokens ? ~uint64_t{0} : (uint64_t{1} << n) - 1;
      views.back().slots |= bits << slot;
      at += n;
    }
  }
  return keys;
}

}  // namespace

FetchStage::FetchStage(ThreadPool& pool, const kernel::Kernels& kernels,
                       std::shared_ptr<const FetchPolicy> policy)
    : pool_(pool),
      kernels_(kernels),
      policy_(std::move(policy)),
      workers_(static_cast<size_t>(pool.size())) {
  if (!policy_) return;
  needs_ = policy_->needs();
  if (const std::string what = missing(needs_); !what.empty()) {
    throw with_hint(unsupported("--kv",
                                "this fetch method needs {}, which a model's run does not "
                                "provide",
                                what),
                    "'fathom replay' runs it on a recording; fetch=quest or fetch=lserve run here");
  }
}

void FetchStage::run(const AttendLayer& layer, std::span<const SequenceRows> sequences) {
  if (sequences.empty()) return;
  for (const SequenceRows& s : sequences) prepare(s);
  const size_t kv_heads = sequences[0].cache->shape().kv_heads;
  pool_.run(sequences.size() * kv_heads, [&](size_t i, int worker) {
    run_head(layer, sequences[i / kv_heads], i % kv_heads, worker);
  });
  for (Worker& w : workers_) {
    account_.read += w.account.read;
    account_.stored += w.account.stored;
    w.account = {};
  }
}

void FetchStage::prepare(const SequenceRows& sequence) {
  const CacheShape& shape = sequence.cache->shape();
  FetchState& state = sequence.cache->fetch_state();
  if (state.heads.empty()) state.heads.resize(shape.layers * shape.kv_heads);
  for (Worker& w : workers_) w.kernel.ensure(kernel::attend_scratch_bytes(shape.head_dim));
}

void FetchStage::run_head(const AttendLayer& layer, const SequenceRows& sequence, size_t kv_head,
                          int worker) {
  Worker& w = workers_[static_cast<size_t>(worker)];
  const CacheShape& shape = sequence.cache->shape();
  const HeadCache& head = sequence.cache->head(layer.layer, kv_head);
  const size_t group = layer.heads / shape.kv_heads;
  select(layer, sequence, kv_head, w);
  const size_t heads = group / w.runs.size();  // that share a list
  for (size_t i = 0; i < w.runs.size(); ++i) {
    const double keys = static_cast<double>(collect(head.pages(), w.runs[i], w.views));
    if (Ledger* ledger = sequence.cache->ledger()) {
      ledger->stored(head.pages(), heads);
      ledger->fetched(w.views, heads);
    }
    w.account.read += keys * static_cast<double>(heads);
    w.account.stored += static_cast<double>(head.length() * heads);
    attend(layer, sequence, head, {kv_head * group + i * heads, heads}, w);
  }
}

// Brings the head's index up to date and asks it.
void FetchStage::select(const AttendLayer& layer, const SequenceRows& sequence, size_t kv_head,
                        Worker& w) {
  SequenceCache& cache = *sequence.cache;
  const CacheShape& shape = cache.shape();
  const size_t d = shape.head_dim, group = layer.heads / shape.kv_heads;
  const size_t tokens = cache.head(layer.layer, kv_head).length();
  FetchState::Head& head = cache.fetch_state().heads[layer.layer * shape.kv_heads + kv_head];
  if (!head.index) head.index = policy_->make_index();
  const size_t first = head.seen / needs_.block * needs_.block;
  w.keys.ensure((tokens - first) * d);
  cache.read_keys(layer.layer, kv_head, first, {w.keys.data(), (tokens - first) * d});
  HeadView view;
  view.layer = layer.layer;
  view.kv_head = kv_head;
  view.head_dim = d;
  view.tokens = tokens;
  view.k = w.keys.data() - first * d;  // read from `first` on, see FetchNeeds::block
  view.scale = layer.scale;
  head.index->update(view);
  head.seen = tokens;
  QueryView query;
  query.group = group;
  query.tokens = 1;
  query.first = cache.length() - 1;
  query.stride = layer.heads * d;
  query.q = layer.q + (sequence.first_row * layer.heads + kv_head * group) * d;
  w.runs.resize(needs_.per_query_head ? group : 1);
  head.index->select(view, query, {}, w.runs);
}

// The views for query heads [heads.first, heads.first + heads.count), in runs that end where dense
// attention's segments do.
void FetchStage::attend(const AttendLayer& layer, const SequenceRows& sequence,
                        const HeadCache& head, Heads heads, Worker& w) {
  const SequenceCache& cache = *sequence.cache;
  const size_t d = cache.shape().head_dim, width = padded_head_dim(d), rows = heads.count;
  w.state.ensure(rows * (width + 2));
  w.part.ensure(rows * (width + 2));
  const std::vector<int32_t> positions(rows, static_cast<int32_t>(cache.length() - 1));
  kernel::AttendArgs args;
  args.format = cache.codec(layer.layer).format();
  args.head_dim = d;
  args.rows = rows;
  args.q = layer.stored_q() + (sequence.first_row * layer.heads + heads.first) * d;
  args.positions = positions.data();
  args.window = layer.window;
  args.scale = layer.scale;
  args.soft_cap = layer.soft_cap;
  args.scratch = w.kernel.data();
  const AttendState total = state_at(w.state, rows);
  clear(total, rows, d);
  const PageView* pages = head.pages().data();
  const auto segment_of = [&](const PageView& view) {
    // Views are copies of the head's: found again by where their keys lie, in ascending order.
    while (pages->k != view.k) ++pages;
    return static_cast<size_t>(pages - head.pages().data()) / kSegmentPages;
  };
  for (size_t begin = 0; begin < w.views.size();) {
    const size_t segment = segment_of(w.views[begin]);
    size_t end = begin + 1;
    while (end < w.views.size() && segment_of(w.views[end]) == segment) ++end;
    const AttendState part = state_at(w.part, rows);
    clear(part, rows, d);
    args.pages = w.views.data() + begin;
    args.page_count = end - begin;
    args.state = part;
    kernels_.attend(args.format)(args);
    kernel::merge_partials(total, part, rows, width);
    begin = end;
  }
  join_extra_token(head.extra(), layer, total, rows, [&](size_t r) { return args.q + r * d; });
  kernel::finish_attention(
      total, rows, d,
      {layer.out + (sequence.first_row * layer.heads + heads.first) * d, d, nullptr});
}

}  // namespace fathom::kv
