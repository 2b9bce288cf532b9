#include "kv/bundle_attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "kv/attention_state.h"
#include "kv/gathered_page.h"
#include "kv/thin_keys.h"

namespace fathom::kv {

using kernel::AttendState;
using kernel::kAttendRows;
using kernel::kPageTokens;
using kernel::padded_head_dim;

namespace {

size_t page_count(std::span<const int32_t> keys) { return ceil_div(keys.size(), kPageTokens); }

// Row r of a tile's state.
AttendState row_of(const AttendState& state, size_t r, size_t head_dim) {
  return {state.max + r, state.sum + r, state.out + r * padded_head_dim(head_dim)};
}

}  // namespace

BundleAttention::BundleAttention(ThreadPool& pool, const kernel::Kernels& kernels)
    : pool_(pool), kernels_(kernels), workers_(static_cast<size_t>(pool.size())) {}

void BundleAttention::clear(size_t kv_heads) {
  bundles_.resize(kv_heads);
  for (Bundles& b : bundles_) b.samples.clear(), b.rounds.clear();
  any_ = false;
}

double BundleAttention::run(const AttendLayer& layer, const SequenceRows& sequence) {
  size_t rounds = 0;
  for (const Bundles& b : bundles_) rounds = std::max(rounds, b.rounds.size());
  any_ = rounds > 0;
  if (!any_) return 0;
  const SequenceCache& cache = *sequence.cache;
  const Run run{layer, sequence, cache.shape().head_dim, layer.heads / cache.shape().kv_heads,
                cache.length() - sequence.tokens};
  for (Worker& w : workers_) {
    w.kernel.ensure(kernel::attend_scratch_bytes(run.head_dim));
    w.q.ensure(kAttendRows * run.head_dim);
    w.state.ensure(state_floats(kAttendRows, run.head_dim));
    w.part.ensure(state_floats(kAttendRows, run.head_dim));
    w.positions.resize(kAttendRows);
  }
  tokens_ = sequence.tokens;
  width_ = state_floats(1, run.head_dim);
  states_.ensure(layer.heads * tokens_ * width_);
  pool_.run(layer.heads, [&](size_t head, int) {
    for (size_t t = 0; t < tokens_; ++t) kv::clear(found(head, t), 1, run.head_dim);
  });
  gather_samples(run);
  double pairs = 0;
  for (size_t round = 0; round < rounds; ++round) {
    pairs += plan_round(run, round);
    pool_.run(round_.size(), [&](size_t i, int worker) {
      run_bundle(run, round_[i], workers_[static_cast<size_t>(worker)]);
    });
  }
  return pairs;
}

void BundleAttention::join(size_t head, size_t first, const AttendState& state, size_t rows) {
  const size_t head_dim = width_ - 2;  // padded
  for (size_t r = 0; r < rows && any_; ++r) {
    kernel::merge_partials(row_of(state, r, head_dim), found(head, first + r), 1, head_dim);
  }
}

AttendState BundleAttention::found(size_t head, size_t query) {
  return state_at(states_.data() + (head * tokens_ + query) * width_, 1);
}

void BundleAttention::gather_samples(const Run& run) {
  const SequenceCache& cache = *run.sequence.cache;
  const size_t bytes = cache.codec(run.layer.layer).page_bytes(run.head_dim);
  samples_.clear();
  first_sample_.clear();
  size_t pages = 0;
  for (size_t h = 0; h < bundles_.size(); ++h) {
    first_sample_.push_back(samples_.size());
    for (const Sample& sample : bundles_[h].samples) {
      samples_.push_back({h, pages, &sample});
      pages += page_count(sample.keys);
    }
  }
  sample_pages_.ensure(std::max<size_t>(1, pages * bytes));
  sample_positions_.resize(pages * kPageTokens);
  sample_views_.resize(pages);
  pool_.run(samples_.size(), [&](size_t i, int) {
    const GatheredSample& s = samples_[i];
    const HeadCache& head = cache.head(run.layer.layer, s.kv_head);
    const std::span<const int32_t> keys = s.sample->keys;
    for (size_t p = 0; p < page_count(keys); ++p) {
      const size_t n = std::min(kPageTokens, keys.size() - p * kPageTokens), page = s.page + p;
      sample_views_[page] = gather_page(head, run.head_dim, keys.subspan(p * kPageTokens, n),
                                        {sample_pages_.data() + page * bytes},
                                        sample_positions_.data() + page * kPageTokens);
    }
  });
}

double BundleAttention::plan_round(const Run& run, size_t round) {
  Ledger* ledger = run.sequence.cache->ledger();
  double pairs = 0;
  round_.clear();
  for (size_t h = 0; h < bundles_.size(); ++h) {
    if (round >= bundles_[h].rounds.size()) continue;
    for (const Bundle& bundle : bundles_[h].rounds[round]) {
      const auto unseen = std::count(bundle.seen.begin(), bundle.seen.end(), uint64_t{0});
      const size_t pages =
          page_count(bundle.keys) + bundle.seen.size() - static_cast<size_t>(unseen);
      pairs += static_cast<double>(bundle.rows.size() * pages * kPageTokens);
      round_.push_back({h, &bundle});
      if (ledger) record(*ledger, run, bundle, bundles_[h].samples[bundle.sample]);
    }
  }
  return pairs;
}

// Pages of the bundle's keys, and those of its sample that its rows see.
void BundleAttention::collect_views(const Run& run, const Work& work, Worker& w) {
  const HeadCache& head = run.sequence.cache->head(run.layer.layer, work.kv_head);
  const size_t bytes = head.codec().page_bytes(run.head_dim);
  const std::span<const int32_t> keys = work.bundle->keys;
  w.pages.ensure(std::max<size_t>(1, page_count(keys) * bytes));
  w.key_positions.resize(page_count(keys) * kPageTokens);
  w.views.clear();
  for (size_t at = 0; at < keys.size(); at += kPageTokens) {
    w.views.push_back(
        gather_page(head, run.head_dim, keys.subspan(at, std::min(kPageTokens, keys.size() - at)),
                    {w.pages.data() + at / kPageTokens * bytes}, w.key_positions.data() + at));
  }
  w.sampled.clear();
  for (size_t p = 0; p < work.bundle->seen.size(); ++p) {
    if (work.bundle->seen[p] == 0) continue;
    const size_t sample = first_sample_[work.kv_head] + work.bundle->sample;
    w.sampled.push_back(sample_views_[samples_[sample].page + p]);
    w.sampled.back().slots = work.bundle->seen[p];
  }
}

void BundleAttention::run_bundle(const Run& run, const Work& work, Worker& w) {
  collect_views(run, work, w);
  const std::span<const Bundle::Row> rows = work.bundle->rows;
  for (size_t at = 0; at < rows.size(); at += kAttendRows) {
    run_rows(run, work, rows.subspan(at, std::min(kAttendRows, rows.size() - at)), w);
  }
}

// The state of a tile's rows over the keys, then over the sample; then each to its place.
void BundleAttention::run_rows(const Run& run, const Work& work, std::span<const Bundle::Row> rows,
                               Worker& w) {
  const size_t d = run.head_dim;
  const auto head_of = [&](const Bundle::Row& row) { return work.kv_head * run.group + row.head; };
  for (size_t r = 0; r < rows.size(); ++r) {
    const size_t token = run.sequence.first_row + rows[r].query - run.start;
    std::memcpy(w.q.data() + r * d,
                run.layer.stored_q() + (token * run.layer.heads + head_of(rows[r])) * d,
                d * sizeof(float));
    w.positions[r] = static_cast<int32_t>(rows[r].query);
  }
  kernel::AttendArgs args;
  args.format = run.sequence.cache->codec(run.layer.layer).format();
  args.head_dim = d;
  args.rows = rows.size();
  args.q = w.q.data();
  args.positions = w.positions.data();
  args.window = run.layer.window;
  args.scale = run.layer.scale;
  args.soft_cap = run.layer.soft_cap;
  args.scratch = w.kernel.data();
  const auto attend = [&](float* memory, std::span<const kernel::PageView> views) {
    args.state = state_at(memory, rows.size());
    args.pages = views.data();
    args.page_count = views.size();
    kv::clear(args.state, rows.size(), d);
    if (!views.empty()) kv::attend_pages(kernels_, args);
    return args.state;
  };
  const AttendState part = attend(w.part.data(), w.sampled);
  const AttendState state = attend(w.state.data(), w.views);
  if (!w.sampled.empty()) {
    const float weight = bundles_[work.kv_head].samples[work.bundle->sample].weight;
    for (size_t r = 0; r < rows.size(); ++r) part.max[r] += std::log2(weight);
  }
  kernel::merge_partials(state, part, rows.size(), padded_head_dim(d));
  for (size_t r = 0; r < rows.size(); ++r) {
    kernel::merge_partials(found(head_of(rows[r]), rows[r].query - run.start), row_of(state, r, d),
                           1, padded_head_dim(d));
  }
}

// Tells the account what a bundle's rows read, range by range.
void BundleAttention::record(Ledger& ledger, const Run& run, const Bundle& bundle,
                             const Sample& sample) const {
  const HeadCache& head = run.sequence.cache->head(run.layer.layer, 0);
  std::array<size_t, Ledger::kRanges> queries{}, last{}, keys{};
  for (const Bundle::Row& row : bundle.rows) {
    const size_t range = ledger.range_of(row.query);
    ++queries[range];
    last[range] = std::max<size_t>(last[range], row.query);
  }
  const auto count = [&](int32_t key) {
    ++keys[ledger.range_of(static_cast<size_t>(head.position(static_cast<size_t>(key))))];
  };
  for (const int32_t key : bundle.keys) count(key);
  for (size_t i = 0; i < sample.keys.size(); ++i) {
    if (bundle.seen[i / 64] >> (i % 64) & 1) count(sample.keys[i]);
  }
  const size_t size = ledger.range_tokens();
  for (size_t q = 0; q < Ledger::kRanges; ++q) {
    for (size_t k = 0; k < Ledger::kRanges && queries[q] > 0; ++k) {
      if (keys[k] == 0) continue;
      ledger.add_read({last[q], queries[q]}, k * size, std::min(keys[k], size));
    }
  }
}

}  // namespace fathom::kv
