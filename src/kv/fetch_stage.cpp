#include "kv/fetch_stage.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "kv/attention_state.h"
#include "kv/extra_token.h"
#include "kv/thin_keys.h"

namespace fathom::kv {
namespace {

using kernel::AttendState;
using kernel::kPageTokens;
using kernel::kSegmentPages;
using kernel::padded_head_dim;
using kernel::PageView;

bool same_page(int32_t a, int32_t b) {
  constexpr auto kPage = static_cast<int32_t>(kPageTokens);
  return a / kPage == b / kPage;
}

// The pages that runs touch, with the slots that they name, and their numbers. Returns the keys
// named.
size_t collect(std::span<const PageView> pages, const Runs& runs, std::vector<PageView>& views,
               std::vector<size_t>& numbers) {
  size_t keys = 0, last = SIZE_MAX;
  views.clear();
  numbers.clear();
  for (const Run& run : runs) {
    keys += static_cast<size_t>(run.end - run.first);
    for (size_t at = static_cast<size_t>(run.first); at < static_cast<size_t>(run.end);) {
      const size_t page = at / kPageTokens, slot = at % kPageTokens;
      const size_t n = std::min(kPageTokens - slot, static_cast<size_t>(run.end) - at);
      if (page != last) {
        views.push_back(pages[page]);
        numbers.push_back(page);
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
  if (policy_) needs_ = policy_->needs();
}

void FetchStage::prepare(const SequenceRows& sequence) {
  const CacheShape& shape = sequence.cache->shape();
  FetchState& state = sequence.cache->fetch_state();
  if (state.heads.empty()) state.heads.resize(shape.layers * shape.kv_heads);
  if (state.waiting.empty()) state.waiting.resize(shape.layers);
  for (Worker& w : workers_) w.kernel.ensure(kernel::attend_scratch_bytes(shape.head_dim));
}

void FetchStage::read(const AttendLayer& layer, std::span<const SequenceRows> sequences) {
  for (const SequenceRows& s : sequences) {
    prepare(s);
    const size_t width = layer.heads * s.cache->shape().head_dim;
    const size_t end = s.cache->length(), first = end - s.tokens;
    const float* q = layer.q + s.first_row * width;
    if (needs_.observed == 0) {
      asked_ = {{.sequence = &s, .first = first, .tokens = s.tokens, .q = q}};
      ask(layer, asked_);
      continue;
    }
    FetchState::Waiting& waiting = s.cache->fetch_state().waiting[layer.layer];
    if (waiting.q.empty()) waiting.first = first;
    waiting.q.insert(waiting.q.end(), q, q + s.tokens * width);
    // Surprise comes with a step's logits, after its layers.
    const size_t known = needs_.surprise ? s.cache->text().surprise.size() : end;
    show_waiting(layer, s, std::min(end, known) / needs_.observed * needs_.observed);
  }
}

// Shows the indexes the queries that wait, up to position `end`, in blocks.
void FetchStage::show_waiting(const AttendLayer& layer, const SequenceRows& s, size_t end) {
  FetchState::Waiting& waiting = s.cache->fetch_state().waiting[layer.layer];
  const size_t width = layer.heads * s.cache->shape().head_dim;
  const size_t begin = waiting.first;
  while (!waiting.q.empty() && waiting.first < end) {
    const size_t block_end = (waiting.first / needs_.observed + 1) * needs_.observed;
    const size_t n = std::min(block_end, end) - waiting.first;
    asked_ = {{.sequence = &s,
               .first = waiting.first,
               .tokens = n,
               .q = waiting.q.data() + (waiting.first - begin) * width}};
    ask(layer, asked_);
    waiting.first += n;
  }
  const size_t done = std::min((waiting.first - begin) * width, waiting.q.size());
  waiting.q.erase(waiting.q.begin(), waiting.q.begin() + static_cast<std::ptrdiff_t>(done));
}

void FetchStage::run(const AttendLayer& layer, std::span<const SequenceRows> sequences) {
  if (sequences.empty()) return;
  for (const SequenceRows& s : sequences) {
    prepare(s);
    if (needs_.observed > 0) show_waiting(layer, s, s.cache->length() - 1);
  }
  asked_.clear();
  for (const SequenceRows& s : sequences) {
    const size_t width = layer.heads * s.cache->shape().head_dim;
    asked_.push_back({.sequence = &s,
                      .first = s.cache->length() - 1,
                      .tokens = 1,
                      .q = layer.q + s.first_row * width,
                      .answered = true});
  }
  ask(layer, asked_);
  for (Worker& w : workers_) {
    account_.read += w.account.read;
    account_.stored += w.account.stored;
    w.account = {};
  }
}

void FetchStage::ask(const AttendLayer& layer, std::span<Asked> asked) {
  const size_t kv_heads = asked[0].sequence->cache->shape().kv_heads;
  unrotate(layer, asked);
  if (needs_.joint) agree(layer, asked);
  pool_.run(asked.size() * kv_heads, [&](size_t i, int worker) {
    const size_t a = i / kv_heads;
    std::span<const float> agreed;
    if (needs_.joint) agreed = agreed_[a];
    const Task task{layer, asked[a], i % kv_heads, agreed, workers_[static_cast<size_t>(worker)]};
    if (!needs_.joint) update(task);
    if (asked[a].answered) answer(task);
    if (needs_.observed > 0) observe(task);
  });
}

InverseRotations& FetchStage::rotations(const AttendLayer& layer, size_t positions) {
  const double* key = layer.rope.frequencies.data();
  auto table = std::find_if(tables_.begin(), tables_.end(),
                            [&](const Table& t) { return t.frequencies == key; });
  if (table == tables_.end()) {
    tables_.push_back({key, InverseRotations(layer.rope)});
    table = tables_.end() - 1;
  }
  table->rotations.reach(positions);
  return table->rotations;
}

void FetchStage::unrotate(const AttendLayer& layer, std::span<Asked> asked) {
  if (!needs_.unrotated) return;
  size_t rows = 0, positions = 0;
  for (Asked& a : asked) {
    a.unrotated = rows;
    rows += a.tokens;
    positions = std::max(positions, a.sequence->cache->length());
  }
  const size_t d = asked[0].sequence->cache->shape().head_dim, width = layer.heads * d;
  q_unrotated_.ensure(rows * width);
  rotations_ = &rotations(layer, positions);
  for (const Asked& a : asked) {
    pool_.run(a.tokens, [&](size_t t, int) {
      for (size_t h = 0; h < layer.heads; ++h) {
        const size_t at = t * width + h * d;
        rotations_->apply(a.first + t, a.q + at, d, q_unrotated_.data() + a.unrotated * width + at);
      }
    });
  }
}

// Every kv head adds its scores, in order, whoever computes them.
void FetchStage::agree(const AttendLayer& layer, std::span<const Asked> asked) {
  const size_t kv_heads = asked[0].sequence->cache->shape().kv_heads;
  ranked_.resize(std::max(ranked_.size(), asked.size() * kv_heads));
  agreed_.resize(std::max(agreed_.size(), asked.size()));
  pool_.run(asked.size() * kv_heads, [&](size_t i, int worker) {
    const Task task{
        layer, asked[i / kv_heads], i % kv_heads, {}, workers_[static_cast<size_t>(worker)]};
    update(task);
    HeadView head = view(task, task.asked.first + task.asked.tokens);
    ranked_[i].clear();
    state(task).index->rank(head, queries(task), ranked_[i]);
  });
  for (size_t a = 0; a < asked.size(); ++a) {
    agreed_[a].clear();
    for (size_t h = 0; h < kv_heads; ++h) {
      const std::vector<float>& scores = ranked_[a * kv_heads + h];
      agreed_[a].resize(std::max(agreed_[a].size(), scores.size()));
      for (size_t b = 0; b < scores.size(); ++b) agreed_[a][b] += scores[b];
    }
  }
}

FetchState::Head& FetchStage::state(const Task& task) const {
  return task.cache()
      .fetch_state()
      .heads[task.layer.layer * task.cache().shape().kv_heads + task.kv_head];
}

// The head's first tokens, with what w.reads names.
HeadView FetchStage::view(const Task& task, size_t tokens) {
  Worker& w = task.w;
  const SequenceCache& cache = task.cache();
  const size_t d = cache.shape().head_dim, layer = task.layer.layer, h = task.kv_head;
  HeadView out;
  out.layer = layer;
  out.kv_head = h;
  out.head_dim = d;
  out.tokens = tokens;
  out.scale = task.layer.scale;
  out.soft_cap = task.layer.soft_cap;
  if (needs_.unrotated) out.rope = &task.layer.rope;
  if (needs_.sentences || needs_.surprise) {
    w.text = cache.text().view();
    out.text = &w.text;
  }
  if (needs_.sentences && !cache.whole()) {
    w.positions.resize(tokens);
    for (size_t i = 0; i < tokens; ++i) w.positions[i] = task.head().position(i);
    out.positions = w.positions.data();
  }
  if (traffic_) {
    for (const Runs* runs : {&w.reads.k, &w.reads.k_unrotated}) {
      traffic_->index += plane_traffic(task.head(), d, *runs, Plane::kKeys);
    }
    traffic_->index += plane_traffic(task.head(), d, w.reads.v, Plane::kValues);
  }
  // Only from the first token that is read on, rounded so that it grows now and then.
  const auto rows = [&](const Runs& runs, Buffer<float>& to, auto read) -> const float* {
    if (runs.empty()) return nullptr;
    const auto base = static_cast<size_t>(runs.front().first);
    constexpr size_t kGrowth = 1024;
    to.ensure((static_cast<size_t>(runs.back().end) - base + kGrowth) / kGrowth * kGrowth * d);
    for (size_t i = 0; i < runs.size(); ++i) {
      const auto first = static_cast<size_t>(runs[i].first);
      // Runs that share a page are read together: it is decoded as a whole.
      while (i + 1 < runs.size() && same_page(runs[i].end - 1, runs[i + 1].first)) ++i;
      const auto end = static_cast<size_t>(runs[i].end);
      read(first, std::span<float>(to.data() + (first - base) * d, (end - first) * d));
    }
    return to.data() - base * d;
  };
  const auto keys = [&](size_t first, std::span<float> to) {
    cache.read_keys(layer, h, first, to);
  };
  out.k = rows(w.reads.k, w.k, keys);
  out.v = rows(w.reads.v, w.v,
               [&](size_t first, std::span<float> to) { cache.read_values(layer, h, first, to); });
  out.k_unrotated =
      rows(w.reads.k_unrotated, w.k_unrotated, [&](size_t first, std::span<float> to) {
        keys(first, to);
        for (size_t i = 0; i < to.size() / d; ++i) {
          const auto at = static_cast<size_t>(task.head().position(first + i));
          rotations_->apply(at, &to[i * d], d, &to[i * d]);
        }
      });
  w.reads.clear();
  return out;
}

QueryView FetchStage::queries(const Task& task) const {
  const Asked& asked = task.asked;
  const size_t d = task.cache().shape().head_dim, at = task.kv_head * task.group() * d;
  QueryView out;
  out.group = task.group();
  out.tokens = asked.tokens;
  out.first = asked.first;
  out.stride = task.layer.heads * d;
  out.q = asked.q + at;
  if (needs_.unrotated) out.q_unrotated = q_unrotated_.data() + asked.unrotated * out.stride + at;
  return out;
}

// Brings the head's index up to date, first with what was cut off, then with what came.
void FetchStage::update(const Task& task) {
  FetchState::Head& head = state(task);
  if (!head.index) head = {policy_->make_index(), 0, 0};
  // Of a head from which tokens were left out, the same at the end.
  const size_t behind = task.cache().length() - (task.asked.first + task.asked.tokens);
  const size_t tokens = task.head().length() - behind;
  const auto tell = [&](size_t n) {
    head.index->reads(FetchCall::kUpdate, n, {}, {}, task.w.reads);
    head.index->update(view(task, n));
  };
  if (head.left < head.told) tell(head.left);
  tell(tokens);
  head.told = head.left = tokens;
}

// Asks the index what the query reads, and attends to it.
void FetchStage::answer(const Task& task) {
  Worker& w = task.w;
  const HeadCache& head = task.head();
  FetchIndex& index = *state(task).index;
  const QueryView query = queries(task);
  index.reads(FetchCall::kSelect, head.length(), query, task.agreed, w.reads);
  w.runs.resize(needs_.per_query_head ? query.group : 1);
  index.select(view(task, head.length()), query, task.agreed, w.runs);
  if (traffic_) traffic_->index += index.bytes();
  const size_t heads = query.group / w.runs.size();  // that share a list
  for (size_t i = 0; i < w.runs.size(); ++i) {
    const double keys = static_cast<double>(collect(head.pages(), w.runs[i], w.views, w.numbers));
    if (Ledger* ledger = task.cache().ledger()) {
      ledger->stored(head.pages(), heads);
      ledger->fetched(w.views, heads);
    }
    w.account.read += keys * static_cast<double>(heads);
    w.account.stored += static_cast<double>(head.length() * heads);
    if (traffic_) count_views(task);
    attend(task, {task.kv_head * query.group + i * heads, heads});
  }
}

void FetchStage::count_views(const Task& task) const {
  for (const size_t page : task.w.numbers) traffic_->read += page_traffic(task.head(), page);
}

void FetchStage::observe(const Task& task) {
  const size_t tokens = task.asked.first + task.asked.tokens;
  FetchIndex& index = *state(task).index;
  const QueryView seen = queries(task);
  index.reads(FetchCall::kObserve, tokens, seen, task.agreed, task.w.reads);
  index.observe(view(task, tokens), seen, task.agreed);
}

// The views for query heads [heads.first, heads.first + heads.count), in runs that end where dense
// attention's segments do.
void FetchStage::attend(const Task& task, Heads heads) {
  Worker& w = task.w;
  const AttendLayer& layer = task.layer;
  const SequenceRows& sequence = *task.asked.sequence;
  const SequenceCache& cache = task.cache();
  const HeadCache& head = task.head();
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
  const AttendState total = state_at(w.state.data(), rows);
  clear(total, rows, d);
  const auto segment_of = [&](size_t view) { return w.numbers[view] / kSegmentPages; };
  for (size_t begin = 0; begin < w.views.size();) {
    const size_t segment = segment_of(begin);
    size_t end = begin + 1;
    while (end < w.views.size() && segment_of(end) == segment) ++end;
    const AttendState part = state_at(w.part.data(), rows);
    clear(part, rows, d);
    args.pages = w.views.data() + begin;
    args.page_count = end - begin;
    args.next = end < w.views.size() ? &w.views[end] : nullptr;
    args.state = part;
    kv::attend_pages(kernels_, args);
    kernel::merge_partials(total, part, rows, width);
    begin = end;
  }
  join_extra_token(head.extra(), layer, total, rows, [&](size_t r) { return args.q + r * d; });
  kernel::finish_attention(
      total, rows, d,
      {layer.out + (sequence.first_row * layer.heads + heads.first) * d, d, nullptr});
}

}  // namespace fathom::kv
